/* Sockets that are connected to their own addresses: Unix and UDP datagrams, and a TCP connection with one end. */
#include "socket.h"

int main(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "itself"};
    int letters = socket(AF_UNIX, SOCK_DGRAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
    int six = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(bind(letters, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(connect(letters, (struct sockaddr *)&name, sizeof name) == 0);
    for (int fd = udp;; fd = tcp) {
        struct sockaddr_in address = loopback(0);
        CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
        address = loopback(port_of(fd));
        CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
        if (fd == tcp) break;
    }
    struct sockaddr_in6 address6 = loopback6(0);
    CHECK(bind(six, (struct sockaddr *)&address6, sizeof address6) == 0);
    address6 = loopback6(port_of(six));
    CHECK(connect(six, (struct sockaddr *)&address6, sizeof address6) == 0);
    say(letters, "a letter");
    say(udp, "a datagram");
    say(tcp, "a part of a stream");
    say(six, "another");
    ready_and_wait();
    expect(letters, "a letter");
    expect(udp, "a datagram");
    expect(tcp, "a part of a stream");
    expect(six, "another");
    int all[] = {letters, udp, tcp, six};
    for (int i = 0; i < 4; i++) {
        say(all[i], "again");
        expect(all[i], "again");
    }
    /* Its own end is what it hears of. */
    CHECK(shutdown(tcp, SHUT_WR) == 0);
    char got;
    CHECK(recv(tcp, &got, 1, 0) == 0);
    return SURVIVED;
}
