/* The notification by a message queue of which a descriptor is on its way in a Unix socket. */
//# refused: mq_notify
#include "survive.h"
#include <mqueue.h>
#include <signal.h>
#include <sys/socket.h>

int main(void) {
    char name[64], byte[] = "x";
    int ends[2];
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 16};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG};
    sigset_t urgent;
    sigemptyset(&urgent), sigaddset(&urgent, SIGURG);
    CHECK(sigprocmask(SIG_BLOCK, &urgent, NULL) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    snprintf(name, sizeof name, "/ckpt-test-%d", getpid());
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    CHECK(queue >= 0 && mq_unlink(name) == 0 && mq_notify(queue, &event) == 0);
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
    memcpy(CMSG_DATA(&control.header), &queue, sizeof queue);
    struct iovec part = {byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    CHECK(sendmsg(ends[0], &message, 0) == 1);
    ready_and_wait();
    CHECK(mq_send(queue, "message", 8, 0) == 0);
    struct timespec soon = {.tv_sec = 10};
    CHECK(sigtimedwait(&urgent, NULL, &soon) == SIGURG);
    return SURVIVED;
}
