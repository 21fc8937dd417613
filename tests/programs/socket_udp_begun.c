/* A datagram that the program has begun: after a restart, it is only what was added then, and the next one is whole. */
#include "socket.h"

/* A pair of connected sockets, the first of which has begun a datagram. */
static void begin(int family, int *one, int *other) {
    *one = socket(family, SOCK_DGRAM, 0), *other = socket(family, SOCK_DGRAM, 0);
    struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
    socklen_t size = sizeof address;
    if (family == AF_INET) ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
    CHECK(bind(*other, (struct sockaddr *)&address, size) == 0);
    CHECK(getsockname(*other, (struct sockaddr *)&address, &size) == 0);
    CHECK(connect(*one, (struct sockaddr *)&address, size) == 0 && send(*one, "begun, ", 7, MSG_MORE) == 7);
}

static void check(int one, int other) {
    say(one, "added");
    say(one, "whole");
    char got[32] = "";
    CHECK(recv(other, got, sizeof got - 1, 0) >= 5);
    if (strcmp(got, "added") != 0 && strcmp(got, "begun, added") != 0) FAIL("\"%s\"", got);
    expect(other, "whole");
}

int main(void) {
    int one, other, six, other_six;
    begin(AF_INET, &one, &other);
    begin(AF_INET6, &six, &other_six);
    ready_and_wait();
    check(one, other);
    check(six, other_six);
    return SURVIVED;
}
