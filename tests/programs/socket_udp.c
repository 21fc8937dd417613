/* UDP sockets: bound, connected, shut down, with options, in a multicast group; datagrams that the program has sent to itself. */
#include "socket.h"

static int bound(int family) {
    int fd = socket(family, SOCK_DGRAM, 0);
    struct sockaddr_in address = loopback(0);
    struct sockaddr_in6 address6 = loopback6(0);
    CHECK(fd >= 0);
    CHECK(bind(fd, family == AF_INET ? (struct sockaddr *)&address : (struct sockaddr *)&address6,
               family == AF_INET ? sizeof address : sizeof address6) == 0);
    return fd;
}

static void check_shut_down(int fd, int how, const struct sockaddr *to, socklen_t size) {
    int may_send = how == SHUT_RD, receives = how == SHUT_WR;
    CHECK(has(fd, POLLRDHUP) == !receives && has(fd, POLLHUP) == (how == SHUT_RDWR));
    ssize_t sent = sendto(fd, "", 0, MSG_NOSIGNAL, to, size);
    if (sent != (may_send ? 0 : -1) || (sent < 0 && errno != EPIPE))
        FAIL("descriptor %d, shut down by %d: %zd, errno %d", fd, how, sent, errno);
}

int main(void) {
    int one = bound(AF_INET), other = bound(AF_INET), connected = bound(AF_INET), group = socket(AF_INET, SOCK_DGRAM, 0);
    int six = bound(AF_INET6);
    struct sockaddr_in to_other = loopback(port_of(other)), to_one = loopback(port_of(one)), from;
    struct sockaddr_in6 to_six = loopback6(port_of(six));
    CHECK(connect(connected, (struct sockaddr *)&to_one, sizeof to_one) == 0);
    set_option(one, SOL_SOCKET, SO_BROADCAST, 1);
    set_option(other, IPPROTO_IP, IP_PKTINFO, 1);
    set_option(six, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    CHECK(sendto(one, "first", 5, 0, (struct sockaddr *)&to_other, sizeof to_other) == 5);
    CHECK(sendto(connected, "", 0, 0, NULL, 0) == 0);
    CHECK(sendto(six, "to myself", 9, 0, (struct sockaddr *)&to_six, sizeof to_six) == 9);
    CHECK(sendto(one, "second", 6, 0, (struct sockaddr *)&to_other, sizeof to_other) == 6);
    struct ip_mreqn member = {.imr_ifindex = 1};
    CHECK(inet_aton("239.1.2.3", &member.imr_multiaddr) == 1);
    CHECK(setsockopt(group, IPPROTO_IP, IP_ADD_MEMBERSHIP, &member, sizeof member) == 0);
    set_option(group, IPPROTO_IP, IP_MULTICAST_TTL, 4);
    /* Shut down, in one direction and in both. */
    int ends[3];
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        ends[how] = bound(how == SHUT_WR ? AF_INET6 : AF_INET);
        CHECK(connect(ends[how], how == SHUT_WR ? (struct sockaddr *)&to_six : (struct sockaddr *)&to_one,
                      how == SHUT_WR ? sizeof to_six : sizeof to_one) == 0);
        CHECK(shutdown(ends[how], how) == 0);
    }
    /* And without a peer. */
    int lonely[3];
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        lonely[how] = bound(how == SHUT_WR ? AF_INET : AF_INET6);
        CHECK(shutdown(lonely[how], how) == -1 && errno == ENOTCONN);
    }
    uint16_t ports[] = {port_of(one), port_of(other), port_of(connected)};
    ready_and_wait();

    CHECK(port_of(one) == ports[0] && port_of(other) == ports[1] && port_of(connected) == ports[2]);
    char got[16] = "";
    socklen_t size = sizeof from;
    CHECK(recvfrom(other, got, sizeof got, 0, (struct sockaddr *)&from, &size) == 5 && memcmp(got, "first", 5) == 0);
    CHECK(ntohs(from.sin_port) == ports[0]);
    expect(other, "second");
    size = sizeof from;
    CHECK(recvfrom(one, got, sizeof got, MSG_DONTWAIT, (struct sockaddr *)&from, &size) == 0);
    CHECK(ntohs(from.sin_port) == ports[2]);
    expect(six, "to myself");
    say(connected, "again");
    expect(one, "again");
    CHECK(option(one, SOL_SOCKET, SO_BROADCAST) == 1 && option(other, IPPROTO_IP, IP_PKTINFO) == 1);
    CHECK(option(six, IPPROTO_IPV6, IPV6_RECVPKTINFO) == 1 && option(group, IPPROTO_IP, IP_MULTICAST_TTL) == 4);
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        check_shut_down(ends[how], how, NULL, 0);
        struct sockaddr *to = how == SHUT_WR ? (struct sockaddr *)&to_one : (struct sockaddr *)&to_six;
        check_shut_down(lonely[how], how, to, how == SHUT_WR ? sizeof to_one : sizeof to_six);
    }
    /* It is in the group: joining again is an error. */
    CHECK(setsockopt(group, IPPROTO_IP, IP_ADD_MEMBERSHIP, &member, sizeof member) == -1 && errno == EADDRINUSE);
    return SURVIVED;
}
