/* An epoll instance that watches what only a message refers to any more. */
//# refused: in flight in a Unix socket
#include "socket.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

int main(void) {
    int ends[2], watched = eventfd(1, 0), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, watched, &event) == 0);
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof watched)];
    } control = {.header = {CMSG_LEN(sizeof watched), SOL_SOCKET, SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &watched, sizeof watched);
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    CHECK(sendmsg(ends[0], &message, 0) == 1 && close(watched) == 0);
    ready_and_wait();
    CHECK(epoll_wait(epoll, &event, 1, 0) == 1 && event.data.u64 == 7);
    return SURVIVED;
}
