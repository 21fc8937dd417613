/* Pipes of which only one end is left: what is in them can be read to its end, and nobody reads what is written. */
#include "survive.h"
#include <poll.h>
#include <signal.h>

static short events(int fd) {
    struct pollfd one = {.fd = fd, .events = POLLIN | POLLOUT};
    CHECK(poll(&one, 1, 0) >= 0);
    return one.revents;
}

int main(void) {
    int reading[2], writing[2], done[2];
    char seen[10];
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(pipe(reading) == 0 && pipe(writing) == 0 && pipe(done) == 0);
    CHECK(write(reading[1], "the end", 7) == 7);
    CHECK(close(reading[1]) == 0 && close(writing[0]) == 0 && close(done[1]) == 0);
    ready_and_wait();
    CHECK(events(reading[0]) == (POLLIN | POLLHUP) && events(done[0]) == POLLHUP);
    CHECK(events(writing[1]) == (POLLOUT | POLLERR));
    CHECK(read(reading[0], seen, 4) == 4 && memcmp(seen, "the ", 4) == 0);
    CHECK(read(reading[0], seen, 10) == 3 && memcmp(seen, "end", 3) == 0 && read(reading[0], seen, 10) == 0);
    CHECK(write(writing[1], "x", 1) == -1 && errno == EPIPE);
    CHECK(read(done[0], seen, 10) == 0);
    return SURVIVED;
}
