/* A notification of the first message in a queue, which the program can only write to, comes after the refused checkpoint. */
//# refused: mq_notify
#include "survive.h"
#include <mqueue.h>
#include <signal.h>

#ifndef ACCESS
#define ACCESS O_WRONLY
#endif

int main(void) {
    char name[64];
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 16};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG};
    sigset_t urgent;
    sigemptyset(&urgent), sigaddset(&urgent, SIGURG);
    CHECK(sigprocmask(SIG_BLOCK, &urgent, NULL) == 0);
    snprintf(name, sizeof name, "/ckpt-test-%d", getpid());
    mqd_t queue = mq_open(name, ACCESS | O_CREAT | O_EXCL, 0600, &attributes);
    CHECK(queue >= 0 && mq_unlink(name) == 0 && mq_notify(queue, &event) == 0);
    ready_and_wait();
    CHECK(mq_send(queue, "message", 8, 0) == 0);
    struct timespec soon = {.tv_sec = 10};
    CHECK(sigtimedwait(&urgent, NULL, &soon) == SIGURG);
    return SURVIVED;
}
