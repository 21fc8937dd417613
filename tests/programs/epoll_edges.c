/* Edge-triggered and one-shot entries of epoll: what was reported is not reported again, and what was not is. */
#include "survive.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int watch(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    return fd;
}

/* Takes all events; a bit for the data of each. */
static uint64_t events(int epoll) {
    struct epoll_event seen[8];
    uint64_t all = 0;
    int count = epoll_wait(epoll, seen, 8, 0);
    CHECK(count >= 0);
    for (int i = 0; i < count; i++) all |= 1 << seen[i].data.u64;
    return all;
}

int main(void) {
    int epoll = epoll_create1(0), loud = epoll_create1(0), ends[2];
    CHECK(pipe(ends) == 0);
    int edge = watch(epoll, eventfd(1, 0), EPOLLIN | EPOLLET, 1);
    int shot = watch(epoll, eventfd(1, 0), EPOLLIN | EPOLLONESHOT, 2);
    int armed = watch(epoll, eventfd(0, 0), EPOLLIN | EPOLLONESHOT, 3);
    int both = watch(epoll, eventfd(1, 0), EPOLLIN | EPOLLONESHOT | EPOLLET, 4);
    int idle = watch(epoll, eventfd(0, 0), EPOLLIN | EPOLLET, 5);
    watch(epoll, ends[1], EPOLLOUT | EPOLLET, 6);
    CHECK(events(epoll) == (1 << 1 | 1 << 2 | 1 << 4 | 1 << 6) && events(epoll) == 0);
    watch(loud, eventfd(1, 0), EPOLLIN | EPOLLET, 7);
    watch(loud, eventfd(1, 0), EPOLLIN | EPOLLONESHOT, 8);
    ready_and_wait();
    CHECK(events(epoll) == 0);
    CHECK(events(loud) == (1 << 7 | 1 << 8) && events(loud) == 0);
    for (int fd = edge; fd <= idle; fd++) CHECK(eventfd_write(fd, 1) == 0);
    CHECK(events(epoll) == (1 << 1 | 1 << 3 | 1 << 5) && events(epoll) == 0);
    struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 2};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, shot, &again) == 0 && events(epoll) == 1 << 2);
    CHECK(close(ends[0]) == 0 && events(epoll) == 1 << 6);
    CHECK(close(armed) == 0 && close(both) == 0 && events(epoll) == 0);
    return SURVIVED;
}
