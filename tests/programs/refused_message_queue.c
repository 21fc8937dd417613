/* A message queue that was removed, with a message in it. */
//# refused: with messages in it
#include "survive.h"
#include <mqueue.h>

int main(void) {
    char name[64], message[16];
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = sizeof message};
    snprintf(name, sizeof name, "/ckpt-test-%d", getpid());
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    CHECK(queue >= 0 && mq_unlink(name) == 0 && mq_send(queue, "kept", 4, 0) == 0);
    ready_and_wait();
    CHECK(mq_receive(queue, message, sizeof message, NULL) == 4 && memcmp(message, "kept", 4) == 0);
    return SURVIVED;
}
