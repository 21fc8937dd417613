/* Threads blocked in reads of event counters, timers, signals and changes of files, in writes, and in epoll. */
//# cflags: -pthread
#include "thread.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

struct call {
    const char *name;
    long number;
    int (*make)(int fd);
    void (*end)(int fd);
    int fd, returned;
    struct thread thread;
};


static int in_read_of_counter(int fd) {
    eventfd_t value;
    return read(fd, &value, 8) == 8 && value == 1;
}

static void end_counter(int fd) { CHECK(eventfd_write(fd, 1) == 0); }

static int in_write_of_counter(int fd) { return eventfd_write(fd, 1) == 0; }

static void empty_counter(int fd) {
    eventfd_t value;
    CHECK(eventfd_read(fd, &value) == 0 && value == UINT64_MAX - 1);
}

static int in_read_of_timer(int fd) {
    uint64_t ticks;
    return read(fd, &ticks, 8) == 8 && ticks == 1;
}

static void end_timer(int fd) {
    struct itimerspec soon = {.it_value.tv_nsec = 1};
    CHECK(timerfd_settime(fd, 0, &soon, NULL) == 0);
}

static int in_read_of_signals(int fd) {
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1;
}

static void send_signal(int fd) { CHECK(fd >= 0 && kill(getpid(), SIGUSR1) == 0); }

static int in_read_of_changes(int fd) {
    struct inotify_event event;
    return read(fd, &event, sizeof event) == sizeof event && event.wd == 1 && event.mask == IN_ATTRIB;
}

static void change(int fd) { CHECK(fd >= 0 && chmod("watched", 0600) == 0); }

static int inner;

static int in_epoll(int fd) {
    struct epoll_event event;
    return epoll_wait(fd, &event, 1, -1) == 1 && event.data.u64 == 99;
}

static int in_epoll_for_an_hour(int fd) {
    struct epoll_event event;
    return epoll_wait(fd, &event, 1, 3600 * 1000) == 1 && event.data.u64 == 99;
}

static void end_epoll(int fd) { CHECK(fd >= 0 && eventfd_write(inner, 1) == 0); }

static struct call calls[] = {
    {.name = "read of a counter", .number = SYS_read, .make = in_read_of_counter, .end = end_counter},
    {.name = "write of a counter", .number = SYS_write, .make = in_write_of_counter, .end = empty_counter},
    {.name = "read of a timer", .number = SYS_read, .make = in_read_of_timer, .end = end_timer},
    {.name = "read of signals", .number = SYS_read, .make = in_read_of_signals, .end = send_signal},
    {.name = "read of changes", .number = SYS_read, .make = in_read_of_changes, .end = change},
    {.name = "epoll_wait", .number = SYS_epoll_wait, .make = in_epoll, .end = end_epoll},
    {.name = "epoll_wait for an hour", .number = SYS_epoll_wait, .make = in_epoll_for_an_hour, .end = end_epoll},
};

static void *make_call(void *argument) {
    struct call *call = argument;
    if (!call->make(call->fd)) FAIL("%s: wrong result, errno %d", call->name, errno);
    set(&call->returned);
    return NULL;
}

int main(void) {
    sigset_t signals;
    struct itimerspec hour = {.it_value.tv_sec = 3600};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 99};
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &signals, NULL) == 0 && close(creat("watched", 0666)) == 0);
    inner = eventfd(0, 0);
    calls[0].fd = eventfd(0, 0);
    calls[1].fd = eventfd(0, 0);
    CHECK(eventfd_write(calls[1].fd, UINT64_MAX - 1) == 0);
    calls[2].fd = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK(timerfd_settime(calls[2].fd, 0, &hour, NULL) == 0);
    calls[3].fd = signalfd(-1, &signals, 0);
    calls[4].fd = inotify_init();
    CHECK(inotify_add_watch(calls[4].fd, "watched", IN_ATTRIB) == 1);
    for (int i = 5; i < LENGTH(calls); i++) {
        calls[i].fd = epoll_create1(0);
        CHECK(epoll_ctl(calls[i].fd, EPOLL_CTL_ADD, inner, &event) == 0);
    }
    for (int i = 0; i < LENGTH(calls); i++) start(&calls[i].thread, make_call, &calls[i]);
    for (int i = 0; i < LENGTH(calls); i++) wait_until_in(&calls[i].thread, calls[i].number);
    ready_and_wait();
    for (int i = 0; i < LENGTH(calls); i++)
        if (is_set(&calls[i].returned)) FAIL("%s: back without reason", calls[i].name);
    for (int i = 0; i < LENGTH(calls); i++) {
        calls[i].end(calls[i].fd);
        finish(&calls[i].thread);
    }
    return SURVIVED;
}
