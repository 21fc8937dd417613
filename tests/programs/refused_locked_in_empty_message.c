/* A message without content that carries a descriptor, in a program that holds a POSIX lock: nobody can look whether it is of the locked file. */
//# refused: an empty message in it carries a descriptor
#include "survive.h"
#include <sys/socket.h>

int main(void) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    int ends[2], fd = new_file("data", PAGE, 36);
    struct flock lock = {.l_type = F_WRLCK, .l_len = 20};
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0 && fcntl(fd, F_SETLK, &lock) == 0);
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &ends[0], sizeof(int));
    CHECK(sendmsg(ends[0], &message, 0) == 0);
    ready_and_wait();
    CHECK(recvmsg(ends[1], &message, 0) == 0 && control.header.cmsg_type == SCM_RIGHTS);
    return SURVIVED;
}
