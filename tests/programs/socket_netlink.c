/* A netlink socket to the routing tables, in a group: it gets a number of its own, and answers. */
#include "socket.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static int ask(int fd) {
    struct {
        struct nlmsghdr header;
        struct rtgenmsg about;
    } request = {.header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    CHECK(send(fd, &request, sizeof request, 0) == sizeof request);
    for (int links = 0;;) {
        _Alignas(struct nlmsghdr) char answer[32768];
        int length = (int)recv(fd, answer, sizeof answer, 0);
        struct nlmsghdr *message = (struct nlmsghdr *)answer;
        for (; NLMSG_OK(message, (unsigned)length); message = NLMSG_NEXT(message, length)) {
            if (message->nlmsg_type == NLMSG_DONE) return links;
            CHECK(message->nlmsg_type == RTM_NEWLINK);
            links++;
        }
    }
}

int main(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_ROUTE};
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(ask(fd) >= 1);
    ready_and_wait();
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    CHECK(address.nl_groups == RTMGRP_IPV4_ROUTE && address.nl_pid != 0);
    CHECK(ask(fd) >= 1);
    return SURVIVED;
}
