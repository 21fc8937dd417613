/* Threads in calls on sockets: they go on, with what arrives after the release. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include "socket.h"

static int tcp[2], listening, backlogged, packets[2], datagrams[2], full[2], limited[2], watched[2];
static uint16_t port;
static struct sockaddr_in full_address;

static int in_accept(void) { return accept(listening, NULL, NULL) >= 0; }

static int in_connect(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    /* Until somebody accepts one of those before. */
    int result = connect(fd, (struct sockaddr *)&full_address, sizeof full_address);
    return result == 0;
}

static int in_recv(void) {
    char got[4];
    return recv(tcp[1], got, 4, MSG_WAITALL) == 4 && memcmp(got, "more", 4) == 0;
}

static int in_recvmsg(void) {
    char got[8];
    struct iovec part = {got, sizeof got};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return recvmsg(packets[1], &message, 0) == 4 && memcmp(got, "more", 4) == 0;
}

static int in_recvmmsg(void) {
    char got[2][8];
    struct iovec parts[2] = {{got[0], 8}, {got[1], 8}};
    struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &parts[0], .msg_iovlen = 1}},
                                  {.msg_hdr = {.msg_iov = &parts[1], .msg_iovlen = 1}}};
    return recvmmsg(datagrams[1], messages, 2, MSG_WAITFORONE, NULL) == 1 && memcmp(got[0], "more", 4) == 0;
}

enum { LARGE = 2 << 20 };
static char *block;

static int in_send(void) { return send(full[0], block, LARGE, 0) == LARGE; }

static int in_poll(void) {
    struct pollfd ready = {.fd = watched[1], .events = POLLIN};
    return poll(&ready, 1, -1) == 1 && ready.revents == POLLIN;
}

static int in_recv_with_limit(void) {
    char byte;
    double begin = now();
    return recv(limited[0], &byte, 1, 0) == -1 && errno == EAGAIN && now() - begin >= 1;
}

static struct call {
    const char *name;
    int (*make)(void);
    long number; /* 0: it ends by itself */
    int returned;
    struct thread thread;
} calls[] = {
    {.name = "accept", .make = in_accept, .number = SYS_accept},
    {.name = "connect", .make = in_connect, .number = SYS_connect},
    {.name = "recv", .make = in_recv, .number = SYS_recvfrom},
    {.name = "recvmsg", .make = in_recvmsg, .number = SYS_recvmsg},
    {.name = "recvmmsg", .make = in_recvmmsg, .number = SYS_recvmmsg},
    {.name = "send", .make = in_send, .number = SYS_sendto},
    {.name = "poll", .make = in_poll, .number = SYS_poll},
    {.name = "recv with a limit", .make = in_recv_with_limit},
};

static void *make_call(void *argument) {
    struct call *call = argument;
    if (!call->make()) FAIL("%s: wrong result, errno %d", call->name, errno);
    set(&call->returned);
    wait_at_gate();
    return NULL;
}

/* A socket whose backlog is full, so that connections to it wait. */
static void fill_backlog(void) {
    uint16_t full_port;
    backlogged = listen_on_loopback(0, &full_port);
    full_address = loopback(full_port);
    for (int waiting = 0; !waiting;) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(connect(fd, (struct sockaddr *)&full_address, sizeof full_address) == -1 && errno == EINPROGRESS);
        usleep(20000);
        waiting = !has(fd, POLLOUT);
        if (waiting) CHECK(close(fd) == 0);
    }
}

int main(void) {
    struct timeval limit = {.tv_sec = 1};
    block = map(LARGE, PROT_READ | PROT_WRITE);
    fill(block, LARGE, 5);
    listening = listen_on_loopback(5, &port);
    tcp[0] = connect_to(port);
    tcp[1] = accept(listening, NULL, NULL);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, full) == 0);
    fill_backlog();
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, watched) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, limited) == 0);
    CHECK(setsockopt(limited[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    for (int i = 0; i < LENGTH(calls); i++) {
        start(&calls[i].thread, make_call, &calls[i]);
        if (calls[i].number) wait_until_in(&calls[i].thread, calls[i].number);
    }
    ready_and_wait();
    for (int i = 0; i < LENGTH(calls); i++)
        /* After a restart, no connections wait before that of the thread in connect. */
        if (calls[i].number && calls[i].make != in_connect && is_set(&calls[i].returned))
            FAIL("%s: back too early", calls[i].name);
    say(tcp[0], "more");
    say(packets[0], "more");
    say(datagrams[0], "more");
    say(watched[0], "x");
    char *seen = map(LARGE, PROT_READ | PROT_WRITE);
    CHECK(recv(full[1], seen, LARGE, MSG_WAITALL) == LARGE && memcmp(seen, block, LARGE) == 0);
    connect_to(port);
    while (!is_set(&calls[1].returned)) {
        struct pollfd ready = {.fd = backlogged, .events = POLLIN};
        if (poll(&ready, 1, 10) == 1) CHECK(accept(backlogged, NULL, NULL) >= 0);
    }
    for (int i = 0; i < LENGTH(calls); i++) wait_until_set(&calls[i].returned);
    open_gate();
    for (int i = 0; i < LENGTH(calls); i++) finish(&calls[i].thread);
    return SURVIVED;
}
