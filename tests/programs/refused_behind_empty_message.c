/* An empty message before one that carries a descriptor of a file on which the program holds a lock. */
//# refused: a message in it carries a descriptor of a file on which the program holds a lock
#include "survive.h"
#include <sys/socket.h>

int main(void) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    int ends[2], fd = new_file("data", PAGE, 36);
    struct flock lock = {.l_type = F_WRLCK, .l_len = 20};
    char byte[] = "x";
    struct iovec part = {byte, 1};
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0 && fcntl(fd, F_SETLK, &lock) == 0);
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    CHECK(send(ends[0], byte, 1, 0) == 1 && send(ends[0], byte, 0, 0) == 0 && sendmsg(ends[0], &message, 0) == 1);
    ready_and_wait();
    CHECK(recv(ends[1], byte, 1, 0) == 1 && recv(ends[1], byte, 1, 0) == 0 && recvmsg(ends[1], &message, 0) == 1);
    return SURVIVED;
}
