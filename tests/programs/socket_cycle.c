/* Sockets in each other's queues: after the end of the process the kernel has them, and their names, until it collects them. */
#include "socket.h"
#include <stddef.h>

enum { PAIRS = 100 };

static int named(int number, struct sockaddr_un *address, socklen_t *size) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    int length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "ckpt-cycle-%d-%d", getpid(), number);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, *size) == 0);
    return fd;
}

/* Has a socket in the queue of the one at `to`. */
static void send_socket(int from, const struct sockaddr_un *to, socklen_t size, int carried) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &carried, sizeof carried);
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_name = (void *)to, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    CHECK(sendmsg(from, &message, 0) == 1);
}

int main(void) {
    static int fds[PAIRS][2];
    struct sockaddr_un names[2];
    socklen_t sizes[2];
    for (int i = 0; i < PAIRS; i++) {
        for (int j = 0; j < 2; j++) fds[i][j] = named(2 * i + j, &names[j], &sizes[j]);
        send_socket(fds[i][0], &names[1], sizes[1], fds[i][0]);
        send_socket(fds[i][1], &names[0], sizes[0], fds[i][1]);
    }
    ready_and_wait();
    for (int i = 0; i < PAIRS; i++) {
        expect(fds[i][0], "x");
        expect(fds[i][1], "x");
    }
    return SURVIVED;
}
