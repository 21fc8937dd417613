/* Threads in calls on sockets, epoll sets, eventfds, timerfds and inotify. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static const struct timespec second = {.tv_sec = 1};
static struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "listening"};
static int listening, pairs[5][2], epolls[4], event, watch, timer;

static int in_accept(void) { return accept(listening, NULL, NULL) >= 0; }

static int in_recv(void) {
    char byte;
    return recv(pairs[0][0], &byte, 1, 0) == 1 && byte == 'x';
}

static int in_recvmsg(void) {
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return recvmsg(pairs[1][0], &message, 0) == 1 && byte == 'x';
}

static int in_recv_with_limit(void) {
    char byte;
    double begin = now();
    return recv(pairs[2][0], &byte, 1, 0) == -1 && errno == EAGAIN && now() - begin >= 1;
}

static int in_read_with_limit(void) {
    char byte;
    double begin = now();
    return read(pairs[3][0], &byte, 1) == -1 && errno == EAGAIN && now() - begin >= 1;
}

static int in_send(void) {
    static char large[1 << 20];
    return send(pairs[4][0], large, sizeof large, 0) == sizeof large;
}

static int in_epoll_wait(void) {
    struct epoll_event found;
    return epoll_wait(epolls[0], &found, 1, -1) == 1 && found.data.fd == event;
}

static int in_epoll_pwait(void) {
    struct epoll_event found;
    sigset_t all;
    sigfillset(&all);
    return epoll_pwait(epolls[1], &found, 1, 3600 * 1000, &all) == 1 && found.data.fd == event && kernel_mask() == 0;
}

static int in_epoll_wait_in_vain(void) {
    struct epoll_event found;
    double begin = now();
    return epoll_wait(epolls[2], &found, 1, 1000) == 0 && now() - begin >= 1;
}

static int in_epoll_pwait2_in_vain(void) {
    struct epoll_event found;
    double begin = now();
    int result = epoll_pwait2(epolls[3], &found, 1, &second, NULL);
    /* From Linux 5.11 on. */
    return (result == -1 && errno == ENOSYS) || (result == 0 && now() - begin >= 1);
}

static int in_read_of_inotify(void) {
    struct {
        struct inotify_event event;
        char name[NAME_MAX + 1];
    } found;
    return read(watch, &found, sizeof found) > 0 && strcmp(found.event.name, "watched") == 0;
}

static int in_read_of_timer(void) {
    uint64_t expirations;
    double begin = now();
    return read(timer, &expirations, 8) == 8 && expirations == 1 && now() - begin >= 0.5;
}

static struct call {
    const char *name;
    int (*make)(void);
    long number; /* 0: it ends by itself */
    int returned;
    struct thread thread;
} calls[] = {
    {.name = "accept", .make = in_accept, .number = SYS_accept},
    {.name = "recv", .make = in_recv, .number = SYS_recvfrom},
    {.name = "recvmsg", .make = in_recvmsg, .number = SYS_recvmsg},
    {.name = "send", .make = in_send, .number = SYS_sendto},
    {.name = "epoll_wait", .make = in_epoll_wait, .number = SYS_epoll_wait},
    {.name = "epoll_pwait", .make = in_epoll_pwait, .number = SYS_epoll_pwait},
    {.name = "read of inotify", .make = in_read_of_inotify, .number = SYS_read},
    {.name = "recv with a limit", .make = in_recv_with_limit},
    {.name = "read with a limit", .make = in_read_with_limit},
    {.name = "epoll_wait with a limit", .make = in_epoll_wait_in_vain},
    {.name = "epoll_pwait2 with a limit", .make = in_epoll_pwait2_in_vain},
    {.name = "read of a timer", .make = in_read_of_timer},
};

static void *make_call(void *argument) {
    struct call *call = argument;
    if (!call->make()) FAIL("%s: wrong result, errno %d", call->name, errno);
    set(&call->returned);
    /* So that there are as many threads before and after. */
    wait_at_gate();
    return NULL;
}

static void set_up(void) {
    struct timeval limit = {.tv_sec = 1};
    event = eventfd(0, 0);
    for (int i = 0; i < LENGTH(pairs); i++) CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) == 0);
    for (int i = 2; i < 4; i++) CHECK(setsockopt(pairs[i][0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    for (int i = 0; i < LENGTH(epolls); i++) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.fd = event};
        epolls[i] = epoll_create1(0);
        CHECK(epolls[i] >= 0 && (i >= 2 || epoll_ctl(epolls[i], EPOLL_CTL_ADD, event, &wanted) == 0));
    }
    listening = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(listening, (struct sockaddr *)&address, sizeof address) == 0 && listen(listening, 5) == 0);
    CHECK(mkdir("directory", 0777) == 0);
    watch = inotify_init();
    CHECK(inotify_add_watch(watch, "directory", IN_CREATE) >= 0);
    timer = timerfd_create(CLOCK_MONOTONIC, 0);
}

int main(void) {
    set_up();
    for (int i = 0; i < LENGTH(calls); i++) {
        struct itimerspec once = {.it_value = {.tv_sec = 1}};
        if (calls[i].make == in_read_of_timer) CHECK(timerfd_settime(timer, 0, &once, NULL) == 0);
        start(&calls[i].thread, make_call, &calls[i]);
        if (calls[i].number) wait_until_in(&calls[i].thread, calls[i].number);
    }
    ready_and_wait();
    for (int i = 0; i < LENGTH(calls); i++)
        if (calls[i].number && is_set(&calls[i].returned)) FAIL("%s: back too early", calls[i].name);
    int connecting = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(connecting, (struct sockaddr *)&address, sizeof address) == 0);
    for (int i = 0; i < 2; i++) CHECK(send(pairs[i][1], "x", 1, 0) == 1);
    char *seen = map(1 << 20, PROT_READ | PROT_WRITE);
    CHECK(recv(pairs[4][1], seen, 1 << 20, MSG_WAITALL) == 1 << 20);
    CHECK(eventfd_write(event, 1) == 0 && mkdir("directory/watched", 0777) == 0);
    for (int i = 0; i < LENGTH(calls); i++) wait_until_set(&calls[i].returned);
    open_gate();
    for (int i = 0; i < LENGTH(calls); i++) finish(&calls[i].thread);
    return SURVIVED;
}
