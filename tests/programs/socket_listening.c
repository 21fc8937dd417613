/* Sockets that listen, with their addresses, options and backlog: TCP over IPv4 and IPv6, and Unix. */
#include "socket.h"

static int backlog_of(int fd) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
    return (int)info.tcpi_sacked;
}

/* Whether a connection to it comes about and carries bytes. */
static void check_connection(int listening, const void *address, socklen_t size, int family) {
    int here = socket(family, SOCK_STREAM, 0);
    CHECK(here >= 0 && connect(here, address, size) == 0);
    say(here, "hello");
    int there = accept(listening, NULL, NULL);
    CHECK(there >= 0);
    expect(there, "hello");
    CHECK(close(here) == 0 && close(there) == 0);
}

static int listen_at_name(const char *name, size_t length, int type) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, length);
    int fd = socket(AF_UNIX, type, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, (socklen_t)(2 + length)) == 0);
    CHECK(type == SOCK_DGRAM || listen(fd, 7) == 0);
    return fd;
}

static void check_name(int fd, const char *name, size_t length) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, length);
    check_connection(fd, &address, (socklen_t)(2 + length), AF_UNIX);
}

int main(void) {
    int four = socket(AF_INET, SOCK_STREAM, 0), six = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = loopback(0);
    struct sockaddr_in6 address6 = {.sin6_family = AF_INET6};
    struct linger linger = {.l_onoff = 1, .l_linger = 5};
    struct timeval limit = {.tv_sec = 3, .tv_usec = 500000};
    set_option(four, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(four, IPPROTO_TCP, TCP_DEFER_ACCEPT, 3);
    set_option(four, IPPROTO_TCP, TCP_FASTOPEN, 5);
    CHECK(setsockopt(four, IPPROTO_TCP, TCP_FASTOPEN_KEY, "0123456789abcdef", 16) == 0);
    set_option(four, IPPROTO_TCP, TCP_MAXSEG, 900);
    set_option(four, IPPROTO_TCP, TCP_WINDOW_CLAMP, 20000);
    set_option(four, SOL_SOCKET, SO_RCVBUF, 20000);
    set_option(four, IPPROTO_IP, IP_TOS, 16);
    set_option(four, IPPROTO_IP, IP_TTL, 33);
    set_option(six, SOL_SOCKET, SO_REUSEPORT, 1);
    set_option(six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(six, SOL_SOCKET, SO_PRIORITY, 3);
    CHECK(setsockopt(six, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    CHECK(setsockopt(six, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    CHECK(bind(four, (struct sockaddr *)&address, sizeof address) == 0 && listen(four, 17) == 0);
    CHECK(bind(six, (struct sockaddr *)&address6, sizeof address6) == 0 && listen(six, 3) == 0);
    uint16_t port = port_of(four), port6 = port_of(six);
    /* Bound, and no more. */
    int bound = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(bound, (struct sockaddr *)&address, sizeof address) == 0);
    uint16_t bound_port = port_of(bound);
    int fresh = socket(AF_INET, SOCK_STREAM, 0), refused = socket(AF_INET, SOCK_STREAM, 0);
    address = loopback(bound_port);
    CHECK(connect(refused, (struct sockaddr *)&address, sizeof address) == -1 && errno == ECONNREFUSED);

    char abstract[32];
    int length = snprintf(abstract, sizeof abstract, "%cckpt-%d", 0, getpid());
    int nameless = listen_at_name(abstract, (size_t)length, SOCK_STREAM);
    int relative = listen_at_name("name", 5, SOCK_SEQPACKET);
    int mailbox = listen_at_name("mailbox", 8, SOCK_DGRAM);
    /* Bound, and not listening yet. */
    struct sockaddr_un early_name = {.sun_family = AF_UNIX, .sun_path = "early"};
    int early = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(early, (struct sockaddr *)&early_name, sizeof early_name) == 0);
    CHECK(chmod("name", 0640) == 0 && chmod("early", 0600) == 0);
    ready_and_wait();

    CHECK(port_of(four) == port && port_of(six) == port6 && port_of(bound) == bound_port && port_of(fresh) == 0);
    if (backlog_of(four) != 17 || backlog_of(six) != 3) FAIL("backlogs %d and %d", backlog_of(four), backlog_of(six));
    CHECK(option(four, SOL_SOCKET, SO_REUSEADDR) == 1 && option(six, SOL_SOCKET, SO_REUSEADDR) == 0);
    char key[32];
    socklen_t key_size = sizeof key;
    CHECK(getsockopt(four, IPPROTO_TCP, TCP_FASTOPEN_KEY, key, &key_size) == 0);
    CHECK(key_size == 16 && memcmp(key, "0123456789abcdef", 16) == 0);
    CHECK(option(four, IPPROTO_TCP, TCP_DEFER_ACCEPT) == 3 && option(four, IPPROTO_TCP, TCP_FASTOPEN) == 5);
    CHECK(option(four, SOL_SOCKET, SO_RCVBUF) == 40000);
    CHECK(option(four, IPPROTO_TCP, TCP_MAXSEG) == 900 && option(four, IPPROTO_TCP, TCP_WINDOW_CLAMP) == 20000);
    CHECK(option(four, IPPROTO_IP, IP_TOS) == 16 && option(four, IPPROTO_IP, IP_TTL) == 33);
    CHECK(option(six, SOL_SOCKET, SO_REUSEPORT) == 1 && option(six, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
    CHECK(option(six, SOL_SOCKET, SO_PRIORITY) == 3 && fcntl(six, F_GETFL) == (O_RDWR | O_NONBLOCK));
    socklen_t size = sizeof linger;
    linger.l_linger = 0;
    CHECK(getsockopt(six, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 && linger.l_onoff && linger.l_linger == 5);
    size = sizeof limit;
    limit.tv_sec = limit.tv_usec = 0;
    CHECK(getsockopt(six, SOL_SOCKET, SO_RCVTIMEO, &limit, &size) == 0 && limit.tv_sec == 3 && limit.tv_usec >= 490000);
    address = loopback(port);
    check_connection(four, &address, sizeof address, AF_INET);
    address6 = loopback6(port6);
    int here = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(connect(here, (struct sockaddr *)&address6, sizeof address6) == 0);
    CHECK(accept(six, NULL, NULL) >= 0 && listen(bound, 1) == 0);
    address = loopback(bound_port);
    check_connection(bound, &address, sizeof address, AF_INET);
    address = loopback(port);
    CHECK(connect(fresh, (struct sockaddr *)&address, sizeof address) == 0);
    /* What the attempt had come to does not stay. */
    address6 = loopback6(port6);
    address = loopback(bound_port);
    CHECK(connect(refused, (struct sockaddr *)&address, sizeof address) == 0 && option(refused, IPPROTO_TCP, TCP_MAXSEG) > 1000);

    check_name(nameless, abstract, (size_t)length);
    struct stat file;
    CHECK(stat("name", &file) == 0 && (file.st_mode & 07777) == 0640);
    CHECK(stat("early", &file) == 0 && (file.st_mode & 07777) == 0600);
    CHECK(listen(early, 1) == 0);
    check_name(early, "early", 5);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "name"};
    int packets = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK(connect(packets, (struct sockaddr *)&name, sizeof name) == 0 && accept(relative, NULL, NULL) >= 0);
    strcpy(name.sun_path, "mailbox");
    int sender = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(sendto(sender, "letter", 6, 0, (struct sockaddr *)&name, sizeof name) == 6);
    expect(mailbox, "letter");
    return SURVIVED;
}
