/* Descriptors that nothing but the kernel tells apart, and others that are one. */
#include "survive.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static uint64_t count_of(int fd) {
    uint64_t count = 0;
    CHECK(read(fd, &count, sizeof count) == sizeof count);
    return count;
}

int main(void) {
    int counter = eventfd(5, EFD_NONBLOCK), other = eventfd(7, EFD_NONBLOCK), twin = dup(other);
    int instance = epoll_create1(0), second = epoll_create1(0);
    int file = new_file("data", PAGE, 30), again = open("data", O_RDWR), same = dup(again);
    CHECK(lseek(file, 0, SEEK_SET) == 0 && same > again && fcntl(file, F_GETFL) == fcntl(again, F_GETFL));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = counter};
    CHECK(epoll_ctl(instance, EPOLL_CTL_ADD, counter, &event) == 0);
    ready_and_wait();
    CHECK(epoll_wait(second, &event, 1, 0) == 0);
    CHECK(epoll_wait(instance, &event, 1, 0) == 1 && event.data.fd == counter);
    CHECK(count_of(counter) == 5 && count_of(twin) == 7);
    CHECK(read(other, &event, 8) < 0 && errno == EAGAIN);
    CHECK(lseek(file, 123, SEEK_SET) == 123 && lseek(again, 0, SEEK_CUR) == 0);
    CHECK(lseek(again, 45, SEEK_SET) == 45 && lseek(same, 0, SEEK_CUR) == 45 && lseek(file, 0, SEEK_CUR) == 123);
    for (int fd = counter; fd <= same; fd++) CHECK(fcntl(fd, F_GETSIG) == 0);
    return SURVIVED;
}
