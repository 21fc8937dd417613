/* Named pipes: both ends in the program, a read end whose writer has ended, an opening for both directions. */
#include "survive.h"
#include <poll.h>

static int is_next(int fd, const char *text) {
    char seen[20];
    ssize_t length = strlen(text);
    return read(fd, seen, sizeof seen) == length && memcmp(seen, text, length) == 0;
}

int main(void) {
    char none;
    CHECK(mkfifo("both", 0600) == 0 && mkfifo("ended", 0600) == 0 && mkfifo("own", 0600) == 0);
    int reader = open("both", O_RDONLY | O_NONBLOCK), writer = open("both", O_WRONLY | O_CLOEXEC);
    CHECK(reader >= 0 && write(writer, "hello", 5) == 5 && fcntl(reader, F_SETFL, 0) == 0);
    int ended = open("ended", O_RDONLY | O_NONBLOCK), last = open("ended", O_WRONLY);
    CHECK(ended >= 0 && write(last, "last words", 10) == 10 && close(last) == 0);
    int own = open("own", O_RDWR), copy = dup(own);
    CHECK(write(own, "mine", 4) == 4 && fcntl(own, F_SETPIPE_SZ, 16 * PAGE) == 16 * PAGE);
    ready_and_wait();
    CHECK(fcntl(reader, F_GETFL) == (O_RDONLY | 0100000) && fcntl(writer, F_GETFD) == FD_CLOEXEC);
    CHECK(write(writer, " you", 4) == 4 && is_next(reader, "hello you"));
    CHECK(fcntl(ended, F_GETFL) == (O_RDONLY | O_NONBLOCK | 0100000));
    CHECK(is_next(ended, "last words") && read(ended, &none, 1) == 0);
    CHECK(fcntl(own, F_GETPIPE_SZ) == 16 * PAGE && write(own, " own", 4) == 4 && is_next(copy, "mine own"));
    /* What is opened by the name is the same pipe. */
    int other = open("both", O_WRONLY | O_NONBLOCK);
    CHECK(other >= 0 && write(other, "again", 5) == 5 && is_next(reader, "again"));
    CHECK(close(other) == 0 && close(writer) == 0 && read(reader, &none, 1) == 0);
    return SURVIVED;
}
