/* A descriptor on its way in a Unix socket, of a file on which the program holds a POSIX lock: the checkpoint would take it away. */
//# refused: a message in it carries a descriptor of a file on which the program holds a lock
#include "survive.h"
#include <sys/socket.h>
#include <sys/wait.h>

int main(void) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    int ends[2], fd = new_file("data", PAGE, 36), status;
    struct flock lock = {.l_type = F_WRLCK, .l_len = 20};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && fcntl(fd, F_SETLK, &lock) == 0);
    memset(&control, 0, sizeof control);
    char byte[] = "x";
    struct iovec part = {byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    CHECK(sendmsg(ends[0], &message, 0) == 1);
    ready_and_wait();
    pid_t child = fork();
    if (child == 0) _exit(fcntl(fd, F_SETLK, &lock) == -1 ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(recvmsg(ends[1], &message, 0) == 1 && control.header.cmsg_type == SCM_RIGHTS);
    return SURVIVED;
}
