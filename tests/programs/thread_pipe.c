/* Threads in read, readv, poll, select and splice of a pipe. */
//# cflags: -pthread
#include "thread.h"
#include <poll.h>
#include <sys/select.h>
#include <sys/uio.h>

struct call {
    const char *name;
    long number;
    int (*make)(int fd);
    int ends[2], returned;
    struct thread thread;
};

static int is_hello(const char *text) { return memcmp(text, "hello", 6) == 0; }

static int in_read(int fd) {
    char text[100];
    return read(fd, text, sizeof text) == 6 && is_hello(text);
}

static int in_readv(int fd) {
    char text[100];
    struct iovec parts[] = {{text, 2}, {text + 2, 90}};
    return readv(fd, parts, 2) == 6 && is_hello(text);
}

static int in_poll(int fd) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, -1) == 1 && one.revents == POLLIN && in_read(fd);
}

static int in_poll_for_an_hour(int fd) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 3600 * 1000) == 1 && one.revents == POLLIN && in_read(fd);
}

static int in_ppoll(int fd) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    struct timespec hour = {.tv_sec = 3600};
    return ppoll(&one, 1, &hour, NULL) == 1 && one.revents == POLLIN && in_read(fd);
}

static int in_select(int fd) {
    fd_set reading;
    struct timeval hour = {.tv_sec = 3600};
    FD_ZERO(&reading);
    FD_SET(fd, &reading);
    return select(fd + 1, &reading, NULL, NULL, &hour) == 1 && FD_ISSET(fd, &reading) && in_read(fd);
}

static int in_pselect(int fd) {
    fd_set reading;
    FD_ZERO(&reading);
    FD_SET(fd, &reading);
    return pselect(fd + 1, &reading, NULL, NULL, NULL, NULL) == 1 && FD_ISSET(fd, &reading) && in_read(fd);
}

static int in_splice(int fd) {
    int ends[2];
    return pipe(ends) == 0 && splice(fd, NULL, ends[1], NULL, 100, 0) == 6 && in_read(ends[0]);
}

static struct call calls[] = {
    {.name = "read", .number = SYS_read, .make = in_read},
    {.name = "readv", .number = SYS_readv, .make = in_readv},
    {.name = "poll", .number = SYS_poll, .make = in_poll},
    {.name = "poll for an hour", .number = SYS_poll, .make = in_poll_for_an_hour},
    {.name = "ppoll", .number = SYS_ppoll, .make = in_ppoll},
    {.name = "select", .number = SYS_pselect6, .make = in_select},
    {.name = "pselect", .number = SYS_pselect6, .make = in_pselect},
    {.name = "splice", .number = SYS_splice, .make = in_splice},
};

static void *make_call(void *argument) {
    struct call *call = argument;
    if (!call->make(call->ends[0])) FAIL("%s: wrong result, errno %d", call->name, errno);
    set(&call->returned);
    return NULL;
}

int main(void) {
    for (int i = 0; i < LENGTH(calls); i++) {
        CHECK(pipe(calls[i].ends) == 0);
        start(&calls[i].thread, make_call, &calls[i]);
    }
    for (int i = 0; i < LENGTH(calls); i++) wait_until_in(&calls[i].thread, calls[i].number);
    ready_and_wait();
    for (int i = 0; i < LENGTH(calls); i++) {
        if (is_set(&calls[i].returned)) FAIL("%s: back without data", calls[i].name);
        CHECK(write(calls[i].ends[1], "hello", 6) == 6);
        finish(&calls[i].thread);
    }
    return SURVIVED;
}
