/* Unix sockets that tell who has sent a message. */
#include "survive.h"
#include <sys/socket.h>

static void expect_own(int fd, const char *text, int pid_is_new) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    char got[64];
    struct iovec part = {got, sizeof got};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    CHECK(recvmsg(fd, &message, MSG_DONTWAIT) == (ssize_t)strlen(text) && memcmp(got, text, strlen(text)) == 0);
    CHECK(message.msg_controllen > 0 && control.header.cmsg_type == SCM_CREDENTIALS);
    struct ucred sender;
    memcpy(&sender, CMSG_DATA(&control.header), sizeof sender);
    if ((pid_is_new && sender.pid != getpid()) || sender.uid != getuid() || sender.gid != getgid())
        FAIL("\"%s\" came from process %d, user %d, group %d", text, sender.pid, (int)sender.uid, (int)sender.gid);
}

int main(void) {
    int stream[2], datagram[2], one = 1;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram) == 0);
    CHECK(setsockopt(stream[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one) == 0);
    CHECK(setsockopt(datagram[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one) == 0);
    CHECK(write(stream[0], "stream", 6) == 6 && write(datagram[0], "datagram", 8) == 8);
    ready_and_wait();
    expect_own(stream[1], "stream", 1);
    expect_own(datagram[1], "datagram", 1);
    CHECK(write(stream[0], "more", 4) == 4);
    expect_own(stream[1], "more", 1);
    struct ucred peer;
    socklen_t size = sizeof peer;
    CHECK(getsockopt(stream[0], SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getpid());
    return SURVIVED;
}
