/* What the programs about sockets share. */
#include "survive.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define UNUSED __attribute__((unused))

/* An option that is a number. */
UNUSED static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    CHECK(getsockopt(fd, level, name, &value, &size) == 0);
    return value;
}

UNUSED static void set_option(int fd, int level, int name, int value) {
    CHECK(setsockopt(fd, level, name, &value, sizeof value) == 0);
}

UNUSED static struct sockaddr_in loopback(uint16_t port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

UNUSED static struct sockaddr_in6 loopback6(uint16_t port) {
    struct sockaddr_in6 address;
    memset(&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    return address;
}

/* The port that the kernel has given to a socket. */
UNUSED static uint16_t port_of(int fd) {
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    return ntohs(address.sin6_port);
}

/* A TCP socket that listens on the loopback; its port. As servers do, it takes its port back from connections that are over. */
UNUSED static int listen_on_loopback(int backlog, uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(0);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, backlog) == 0);
    *port = port_of(fd);
    return fd;
}

UNUSED static int connect_to(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(port);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* Both ends of a connection. */
UNUSED static void connect_pair(int *ends) {
    uint16_t port;
    int listening = listen_on_loopback(1, &port);
    ends[0] = connect_to(port);
    ends[1] = accept(listening, NULL, NULL);
    CHECK(ends[1] >= 0 && close(listening) == 0);
}

UNUSED static void say(int fd, const char *text) {
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Expects exactly this, and nothing behind it. */
UNUSED static void expect(int fd, const char *text) {
    char got[256] = "";
    size_t length = 0, wanted = strlen(text);
    while (length < wanted) {
        ssize_t count = recv(fd, got + length, wanted - length, 0);
        if (count <= 0) FAIL("descriptor %d: \"%s\" instead of \"%s\", errno %d", fd, got, text, errno);
        length += (size_t)count;
    }
    if (memcmp(got, text, wanted) != 0) FAIL("descriptor %d: \"%s\" instead of \"%s\"", fd, got, text);
    if (recv(fd, got, 1, MSG_DONTWAIT | MSG_PEEK) > 0) FAIL("descriptor %d: more than \"%s\"", fd, text);
}

UNUSED static int has(int fd, int event) {
    struct pollfd ready = {.fd = fd, .events = (short)event};
    CHECK(poll(&ready, 1, 0) >= 0);
    return (ready.revents & event) != 0;
}

/* Another process at the other end, which is nobody's child, so that the program has none. It serves until the release. */
#include <sys/wait.h>
UNUSED static void start_stranger(void (*serve)(void)) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (fork() == 0) {
            serve();
            wait_for_release();
        }
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child);
}
