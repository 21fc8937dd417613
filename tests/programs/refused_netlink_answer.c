/* A netlink socket to the routing tables that has not read its answer. */
//# refused: with an answer that was not read yet
#include "survive.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

int main(void) {
    struct {
        struct nlmsghdr header;
        struct rtgenmsg about;
    } request = {.header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    CHECK(fd >= 0 && send(fd, &request, sizeof request, 0) == sizeof request);
    CHECK(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000) == 1);
    ready_and_wait();
    char answer[32768];
    CHECK(recv(fd, answer, sizeof answer, 0) > 0);
    return SURVIVED;
}
