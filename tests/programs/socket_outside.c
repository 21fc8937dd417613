/* Connections to another process come back closed by it: what was received can still be read, then there is the end. */
#include "socket.h"
#include <signal.h>

static int listening, named, pair[2], tcp_end, unix_end;
static uint16_t port;
static struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "server"};

/* The other process: talks first, then holds the connections. */
static void serve(void) {
    int tcp = connect_to(port), stream = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(stream, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(close(pair[0]) == 0 && close(listening) == 0 && close(named) == 0);
    say(tcp, "by TCP");
    say(stream, "by name");
    say(pair[1], "by a pair");
}

static void check(int fd, const char *text, int restored) {
    expect(fd, text);
    char byte;
    errno = 0;
    if (restored) {
        CHECK(has(fd, POLLHUP) && recv(fd, &byte, 1, 0) == 0);
        CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    } else {
        CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1 || errno == EPIPE || errno == ECONNRESET);
    }
}

int main(void) {
    listening = listen_on_loopback(5, &port);
    named = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(named, (struct sockaddr *)&name, sizeof name) == 0 && listen(named, 5) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    start_stranger(serve);
    tcp_end = accept(listening, NULL, NULL);
    unix_end = accept(named, NULL, NULL);
    CHECK(tcp_end >= 0 && unix_end >= 0 && close(pair[1]) == 0);
    while (!has(tcp_end, POLLIN) || !has(unix_end, POLLIN) || !has(pair[0], POLLIN)) sched_yield();
    pid_t before = getpid();
    ready_and_wait();
    int restored = getpid() != before;
    check(tcp_end, "by TCP", restored);
    check(unix_end, "by name", restored);
    check(pair[0], "by a pair", restored);
    /* Those that listen take new connections. */
    int again = connect_to(port);
    tcp_end = accept(listening, NULL, NULL);
    say(again, "new");
    expect(tcp_end, "new");
    return SURVIVED;
}
