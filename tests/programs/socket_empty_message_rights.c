/* Messages without content in a program that holds a POSIX lock: one with a time, one with a descriptor of another file, which nobody else has. */
#include "survive.h"
#include <sys/socket.h>

int main(void) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    int ends[2], fd = new_file("data", PAGE, 36), carried = memfd_create("carried", 0), on = 1;
    char content[PAGE];
    fill(content, PAGE, 5);
    struct flock lock = {.l_type = F_WRLCK, .l_len = 20};
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0 && fcntl(fd, F_SETLK, &lock) == 0);
    CHECK(write(carried, content, PAGE) == PAGE && setsockopt(ends[1], SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on) == 0);
    CHECK(send(ends[0], "", 0, 0) == 0);
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &carried, sizeof carried);
    CHECK(sendmsg(ends[0], &message, 0) == 0 && close(carried) == 0);
    ready_and_wait();
    CHECK(recv(ends[1], content, PAGE, MSG_DONTWAIT) == 0);
    CHECK(setsockopt(ends[1], SOL_SOCKET, SO_TIMESTAMP, &(int){0}, sizeof on) == 0);
    CHECK(recvmsg(ends[1], &message, MSG_DONTWAIT) == 0 && control.header.cmsg_type == SCM_RIGHTS);
    memcpy(&carried, CMSG_DATA(&control.header), sizeof carried);
    CHECK(pread(carried, content, PAGE, 0) == PAGE && is_filled(content, PAGE, 5));
    return SURVIVED;
}
