/* A POSIX message queue that was removed: its attributes, and two descriptors of it. */
#include "survive.h"
#include <mqueue.h>

int main(void) {
    char name[64], message[32];
    struct mq_attr attributes = {.mq_maxmsg = 3, .mq_msgsize = sizeof message}, now;
    snprintf(name, sizeof name, "/ckpt-test-%d", getpid());
    mqd_t queue = mq_open(name, O_WRONLY | O_CREAT | O_EXCL, 0640, &attributes), reading = mq_open(name, O_RDONLY | O_NONBLOCK);
    CHECK(queue >= 0 && reading >= 0 && mq_unlink(name) == 0);
    ready_and_wait();
    struct stat stat;
    CHECK(fstat(queue, &stat) == 0 && stat.st_nlink == 0 && (stat.st_mode & 0777) == 0640);
    CHECK(mq_getattr(queue, &now) == 0 && now.mq_flags == 0 && now.mq_maxmsg == 3 && now.mq_msgsize == sizeof message);
    CHECK(mq_receive(reading, message, sizeof message, NULL) == -1 && errno == EAGAIN);
    CHECK(mq_send(queue, "here", 4, 2) == 0 && mq_receive(reading, message, sizeof message, NULL) == 4);
    return SURVIVED;
}
