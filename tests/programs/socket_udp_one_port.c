/* UDP sockets that share a port by SO_REUSEADDR: the one that was bound last gets what is sent to one, whatever its number. */
#include "socket.h"

enum { SOCKETS = 5, LAST = 2 };

static int six[2], four[SOCKETS];

static void bind_to(int fd, uint16_t port, int is_six) {
    struct sockaddr_in address = loopback(port);
    struct sockaddr_in6 address6 = loopback6(port);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    CHECK(bind(fd, is_six ? (struct sockaddr *)&address6 : (struct sockaddr *)&address, is_six ? sizeof address6 : sizeof address) == 0);
}

static void check(void) {
    struct sockaddr_in to = loopback(port_of(four[0]));
    struct sockaddr_in6 to_six = loopback6(port_of(six[0]));
    int sender = socket(AF_INET, SOCK_DGRAM, 0), sender6 = socket(AF_INET6, SOCK_DGRAM, 0);
    CHECK(sendto(sender, "to one", 6, 0, (struct sockaddr *)&to, sizeof to) == 6);
    CHECK(sendto(sender6, "to six", 6, 0, (struct sockaddr *)&to_six, sizeof to_six) == 6);
    expect(four[LAST], "to one");
    expect(six[0], "to six");
    CHECK(close(sender) == 0 && close(sender6) == 0);
}

int main(void) {
    for (int i = 0; i < SOCKETS; i++) four[i] = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 0; i < 2; i++) six[i] = socket(AF_INET6, SOCK_DGRAM, 0);
    bind_to(four[0], 0, 0), bind_to(six[1], 0, 1);
    const int order[] = {4, 1, 3, LAST};
    for (int i = 0; i < 4; i++) bind_to(four[order[i]], port_of(four[0]), 0);
    bind_to(six[0], port_of(six[1]), 1);
    check();
    ready_and_wait();
    check();
    return SURVIVED;
}
