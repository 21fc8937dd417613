/* An epoll set. */
//# refused: eventpoll
#include "survive.h"
#include <sys/epoll.h>

int main(void) {
    int fd = epoll_create1(0);
    struct epoll_event event;
    CHECK(fd >= 0);
    ready_and_wait();
    CHECK(epoll_wait(fd, &event, 1, 0) == 0);
    return SURVIVED;
}
