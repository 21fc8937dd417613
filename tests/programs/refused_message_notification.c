/* A notification of the first message in a queue. */
//# refused: mq_notify
#include "survive.h"
#include <mqueue.h>
#include <signal.h>

int main(void) {
    char name[64];
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 16};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG};
    snprintf(name, sizeof name, "/ckpt-test-%d", getpid());
    mqd_t queue = mq_open(name, O_WRONLY | O_CREAT | O_EXCL, 0600, &attributes);
    CHECK(queue >= 0 && mq_unlink(name) == 0 && mq_notify(queue, &event) == 0);
    ready_and_wait();
    CHECK(mq_notify(queue, NULL) == 0);
    return SURVIVED;
}
