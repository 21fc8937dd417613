/* Errors that wait in sockets, and which nobody can look at without taking them: the program itself is told of them, a restored one of another,
   or of none. */
#include "socket.h"

static int reset_connection(uint16_t port, int listening) {
    struct linger at_once = {1, 0};
    int here = connect_to(port), there = accept(listening, NULL, NULL);
    CHECK(there >= 0 && setsockopt(there, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    say(there, "received");
    while (!has(here, POLLIN)) sched_yield();
    CHECK(close(there) == 0);
    while (!has(here, POLLERR)) sched_yield();
    return here;
}

int main(void) {
    uint16_t port;
    int listening = listen_on_loopback(5, &port), unheard = socket(AF_INET, SOCK_DGRAM, 0);
    int reset = reset_connection(port, listening);
    /* A port at which nobody is. */
    int other = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in nobody = loopback(0);
    socklen_t size = sizeof nobody;
    CHECK(bind(other, (struct sockaddr *)&nobody, sizeof nobody) == 0);
    CHECK(getsockname(other, (struct sockaddr *)&nobody, &size) == 0 && close(other) == 0);
    CHECK(connect(unheard, (struct sockaddr *)&nobody, sizeof nobody) == 0);
    say(unheard, "anybody");
    while (!has(unheard, POLLERR)) sched_yield();
    pid_t before = getpid();
    ready_and_wait();
    char received[9] = "";
    CHECK(recv(reset, received, 8, 0) == 8 && strcmp(received, "received") == 0);
    if (getpid() == before) {
        CHECK(option(reset, SOL_SOCKET, SO_ERROR) == ECONNRESET && option(unheard, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
    } else {
        CHECK(recv(reset, received, 1, 0) == 0 && option(unheard, SOL_SOCKET, SO_ERROR) == 0);
    }
    CHECK(close(listening) == 0);
    return SURVIVED;
}
