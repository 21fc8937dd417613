/* Pipes within the program: content, size, flags, shared and separate descriptions, also where standard output is one. */
#include "survive.h"
#include <sys/ioctl.h>

enum { LARGE = 1 << 20 };

static int again(int fd, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int new = open(path, flags);
    CHECK(new >= 0);
    return new;
}

static int waiting(int fd) {
    int count;
    CHECK(ioctl(fd, FIONREAD, &count) == 0);
    return count;
}

int main(void) {
    int empty[2], small[2], large[2], standard[2];
    char *content = map(LARGE, PROT_READ | PROT_WRITE), *seen = map(LARGE, PROT_READ | PROT_WRITE);
    fill(content, LARGE, 17);
    CHECK(pipe(empty) == 0 && pipe2(small, O_CLOEXEC) == 0 && pipe(large) == 0 && pipe(standard) == 0);

    /* One writer has three descriptors and two descriptions, and there is one that reads and writes. */
    int copy = dup(small[1]), other = again(small[1], O_WRONLY | O_NONBLOCK), both = again(small[0], O_RDWR);
    CHECK(write(small[1], "one,", 4) == 4 && write(both, "two", 4) == 4);
    CHECK(fcntl(small[0], F_SETFL, O_NONBLOCK) == 0);

    CHECK(fcntl(large[0], F_SETPIPE_SZ, LARGE) == LARGE && write(large[1], content, LARGE) == LARGE);
    CHECK(dup2(standard[1], 1) == 1 && close(standard[1]) == 0 && write(1, "out", 3) == 3);
    int flags[] = {fcntl(small[0], F_GETFL), fcntl(small[1], F_GETFL), fcntl(other, F_GETFL), fcntl(both, F_GETFL)};

    ready_and_wait();
    CHECK(fcntl(small[0], F_GETFL) == flags[0] && fcntl(small[1], F_GETFL) == flags[1]);
    CHECK(fcntl(other, F_GETFL) == flags[2] && fcntl(both, F_GETFL) == flags[3]);
    CHECK(fcntl(small[0], F_GETFD) == FD_CLOEXEC && fcntl(copy, F_GETFD) == 0);
    CHECK(fcntl(large[1], F_GETPIPE_SZ) == LARGE && fcntl(small[1], F_GETPIPE_SZ) != LARGE);
    CHECK(waiting(empty[0]) == 0 && waiting(small[0]) == 8 && waiting(large[0]) == LARGE);

    CHECK(read(small[0], seen, 4) == 4 && memcmp(seen, "one,", 4) == 0);
    CHECK(write(copy, "!", 1) == 1);
    CHECK(read(both, seen, 10) == 5 && memcmp(seen, "two\0!", 5) == 0);
    CHECK(read(small[0], seen, 10) == -1 && errno == EAGAIN);
    CHECK(close(small[1]) == 0 && close(copy) == 0 && close(other) == 0);
    CHECK(read(small[0], seen, 10) == -1 && errno == EAGAIN);
    CHECK(close(both) == 0 && read(small[0], seen, 10) == 0);

    for (ssize_t at = 0, got; at < LARGE; at += got) CHECK((got = read(large[0], seen + at, LARGE)) > 0);
    CHECK(memcmp(seen, content, LARGE) == 0);
    CHECK(write(empty[1], "x", 1) == 1 && read(empty[0], seen, 10) == 1);
    CHECK(write(1, "put", 3) == 3 && read(standard[0], seen, 10) == 6 && memcmp(seen, "output", 6) == 0);
    return SURVIVED;
}
