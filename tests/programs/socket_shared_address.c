/* Sockets that share a port, or have an address that is not this machine's, by options that are off again. */
#include "socket.h"

static int bound(int type, uint16_t port) {
    int fd = socket(AF_INET, type, 0);
    struct sockaddr_in address = loopback(port);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(type == SOCK_DGRAM || listen(fd, 5) == 0);
    return fd;
}

int main(void) {
    int one = bound(SOCK_STREAM, 0), other = bound(SOCK_STREAM, port_of(one));
    int letters = bound(SOCK_DGRAM, 0), more = bound(SOCK_DGRAM, port_of(letters));
    set_option(one, SOL_SOCKET, SO_REUSEPORT, 0);
    set_option(letters, SOL_SOCKET, SO_REUSEPORT, 0);
    set_option(more, SOL_SOCKET, SO_REUSEPORT, 0);

    int foreign[3] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET6, SOCK_STREAM, 0)};
    struct sockaddr_in address = loopback(4711);
    struct sockaddr_in6 address6 = loopback6(4711);
    /* Addresses of examples (RFC 5737, RFC 3849). */
    CHECK(inet_pton(AF_INET, "192.0.2.77", &address.sin_addr) == 1 && inet_pton(AF_INET6, "2001:db8::77", &address6.sin6_addr) == 1);
    for (int i = 0; i < 3; i++) {
        int level = i == 2 ? IPPROTO_IPV6 : IPPROTO_IP, name = i == 2 ? IPV6_FREEBIND : IP_FREEBIND;
        set_option(foreign[i], level, name, 1);
        CHECK(bind(foreign[i], i == 2 ? (struct sockaddr *)&address6 : (struct sockaddr *)&address, i == 2 ? sizeof address6 : sizeof address) == 0);
        CHECK(i == 0 || listen(foreign[i], 3) == 0);
        set_option(foreign[i], level, name, 0);
    }
    uint16_t port = port_of(one), letter_port = port_of(letters);
    ready_and_wait();

    CHECK(port_of(one) == port && port_of(other) == port && port_of(letters) == letter_port && port_of(more) == letter_port);
    CHECK(option(one, SOL_SOCKET, SO_ACCEPTCONN) == 1 && option(other, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    CHECK(option(one, SOL_SOCKET, SO_REUSEPORT) == 0 && option(other, SOL_SOCKET, SO_REUSEPORT) == 1);
    CHECK(option(letters, SOL_SOCKET, SO_REUSEPORT) == 0 && option(more, SOL_SOCKET, SO_REUSEPORT) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(port_of(foreign[i]) == 4711 && option(foreign[i], SOL_SOCKET, SO_ACCEPTCONN) == (i > 0));
        CHECK(option(foreign[i], i == 2 ? IPPROTO_IPV6 : IPPROTO_IP, i == 2 ? IPV6_FREEBIND : IP_FREEBIND) == 0);
    }
    return SURVIVED;
}
