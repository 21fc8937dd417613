/* Epoll instances: what they watch, under which numbers, with which data, nested, also after a number was closed. */
#include "survive.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static void add(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

/* Exactly this one event is there. */
static void expect(int epoll, uint32_t events, uint64_t data) {
    struct epoll_event seen[8];
    CHECK(epoll_wait(epoll, seen, 8, 0) == 1);
    CHECK(seen[0].events == events && seen[0].data.u64 == data);
}

static void expect_nothing(int epoll) {
    struct epoll_event seen;
    CHECK(epoll_wait(epoll, &seen, 1, 0) == 0);
}

static void raise_counter(int fd) { CHECK(eventfd_write(fd, 1) == 0); }

static void clear(int fd) {
    eventfd_t value;
    CHECK(eventfd_read(fd, &value) == 0);
}

int main(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC), empty = epoll_create1(0), outer = epoll_create1(0), copy;
    int counter = eventfd(0, 0), other = eventfd(0, 0), exclusive = eventfd(0, 0), occupied = eventfd(0, 0), ends[2];
    CHECK(pipe(ends) == 0 && (copy = dup(epoll)) >= 0);
    add(epoll, counter, EPOLLIN, 0xfedcba9876543210);
    add(epoll, ends[0], EPOLLIN | EPOLLRDHUP, 2);
    add(epoll, exclusive, EPOLLIN | EPOLLEXCLUSIVE, 3);

    /* Under a number that is free now, and under one that belongs to another file now. */
    int closed = dup2(other, 200);
    add(epoll, closed, EPOLLIN, 4);
    CHECK(close(closed) == 0);
    int reused = dup2(occupied, 201);
    add(epoll, reused, EPOLLIN, 5);
    CHECK(dup3(other, reused, O_CLOEXEC) == reused);
    add(epoll, reused, EPOLLIN, 6);

    add(outer, epoll, EPOLLIN, 7);
    ready_and_wait();
    CHECK(fcntl(epoll, F_GETFD) == FD_CLOEXEC && fcntl(closed, F_GETFD) == -1);
    CHECK(fcntl(reused, F_GETFD) == FD_CLOEXEC);
    expect_nothing(epoll);
    expect_nothing(empty);
    expect_nothing(outer);

    raise_counter(counter);
    expect(copy, EPOLLIN, 0xfedcba9876543210);
    expect(outer, EPOLLIN, 7);
    clear(counter);
    expect_nothing(outer);
    raise_counter(exclusive);
    expect(epoll, EPOLLIN, 3);
    clear(exclusive);
    raise_counter(occupied);
    expect(epoll, EPOLLIN, 5);
    clear(occupied);
    struct epoll_event seen[8];
    raise_counter(other);
    CHECK(epoll_wait(epoll, seen, 8, 0) == 2 && seen[0].data.u64 + seen[1].data.u64 == 4 + 6);
    clear(other);
    CHECK(close(ends[1]) == 0);
    expect(epoll, EPOLLHUP, 2);

    struct epoll_event change = {.events = EPOLLOUT, .data.u64 = 8};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, counter, &change) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], NULL) == 0);
    expect(epoll, EPOLLOUT, 8);
    return SURVIVED;
}
