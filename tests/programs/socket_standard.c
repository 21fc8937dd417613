/* One end of a pair on descriptor 0, a socket that listens on descriptor 1: they are the program's and not the restorer's. */
#include "socket.h"

int main(void) {
    int pair[2];
    uint16_t port;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    int listening = listen_on_loopback(1, &port);
    CHECK(dup2(pair[0], 0) == 0 && dup2(listening, 1) == 1 && close(pair[0]) == 0 && close(listening) == 0);
    say(pair[1], "in");
    say(0, "out");
    ready_and_wait();
    expect(0, "in");
    expect(pair[1], "out");
    int here = connect_to(port), there = accept(1, NULL, NULL);
    say(here, "hello");
    expect(there, "hello");
    return SURVIVED;
}
