/* A datagram that the program has begun: after a restart, it is only what was added then, and the next one is whole. */
#include "socket.h"

int main(void) {
    int one = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = loopback(0);
    CHECK(bind(other, (struct sockaddr *)&address, sizeof address) == 0);
    address.sin_port = htons(port_of(other));
    CHECK(connect(one, (struct sockaddr *)&address, sizeof address) == 0 && send(one, "begun, ", 7, MSG_MORE) == 7);
    ready_and_wait();
    say(one, "added");
    say(one, "whole");
    char got[32] = "";
    CHECK(recv(other, got, sizeof got - 1, 0) >= 5);
    if (strcmp(got, "added") != 0 && strcmp(got, "begun, added") != 0) FAIL("\"%s\"", got);
    expect(other, "whole");
    return SURVIVED;
}
