/* POSIX message queues: what is in them, attributes, several descriptors with their flags. */
#include "survive.h"
#include <mqueue.h>

static mqd_t new_queue(const char *name, long capacity, long size) {
    struct mq_attr attributes = {.mq_maxmsg = capacity, .mq_msgsize = size};
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0640, &attributes);
    CHECK(queue >= 0);
    return queue;
}

static int has(mqd_t queue, long flags, long capacity, long size, long messages) {
    struct mq_attr now;
    CHECK(mq_getattr(queue, &now) == 0);
    return now.mq_flags == flags && now.mq_maxmsg == capacity && now.mq_msgsize == size && now.mq_curmsgs == messages;
}

static int takes(mqd_t queue, const char *text, unsigned priority) {
    char message[64] = {0};
    unsigned found;
    return mq_receive(queue, message, sizeof message, &found) == (ssize_t)strlen(text) && found == priority && strcmp(message, text) == 0;
}

int main(void) {
    char name[64];
    struct stat stat;
    snprintf(name, sizeof name, "/ckpt-test-%d", getpid());
    mqd_t queue = new_queue(name, 5, 64);
    mqd_t reading = mq_open(name, O_RDONLY | O_NONBLOCK), writing = mq_open(name, O_WRONLY);
    CHECK(reading >= 0 && writing >= 0);
    CHECK(mq_send(queue, "late", 4, 1) == 0 && mq_send(writing, "early", 5, 7) == 0 && mq_send(writing, "later", 5, 1) == 0);
    ready_and_wait();
    /* It would stay for good. */
    CHECK(mq_unlink(name) == 0);
    CHECK(has(queue, 0, 5, 64, 3) && has(reading, O_NONBLOCK, 5, 64, 3) && has(writing, 0, 5, 64, 3));
    CHECK(fstat(queue, &stat) == 0 && (stat.st_mode & 0777) == 0640);
    CHECK(takes(reading, "early", 7) && takes(queue, "late", 1) && takes(queue, "later", 1));
    CHECK(!takes(reading, "", 0) && errno == EAGAIN && mq_send(reading, "x", 1, 0) == -1 && errno == EBADF);
    return SURVIVED;
}
