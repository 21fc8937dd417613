/* Joining: threads that ended before, that end after, that a thread waits for already, and detached ones. */
//# cflags: -pthread
#include "thread.h"

static int ended;

static void *return_at_once(void *argument) { return argument; }

static void *exit_at_gate(void *argument) {
    wait_at_gate();
    pthread_exit(argument);
}

static void *join(void *thread) { return finish(thread); }

static void *end_detached(void *argument) {
    CHECK(pthread_detach(pthread_self()) == 0);
    wait_at_gate();
    count_up(&ended);
    return argument;
}

int main(void) {
    int one = 1, two = 2, three = 3;
    struct thread before, after, waited_for, joiner, tried, detached;
    struct timespec soon = {0, 0};
    start(&before, return_at_once, &one);
    start(&after, exit_at_gate, &two);
    start(&waited_for, exit_at_gate, &three);
    start(&joiner, join, &waited_for);
    start(&tried, exit_at_gate, NULL);
    start(&detached, end_detached, NULL);
    wait_until_set(&before.tid);
    while (is_in(before.tid, 0) != -1) sched_yield();
    wait_until_in(&joiner, SYS_futex);
    wait_until_in(&detached, SYS_futex);
    ready_and_wait();
    CHECK(finish(&before) == &one);
    CHECK(pthread_tryjoin_np(tried.id, NULL) == EBUSY && pthread_timedjoin_np(tried.id, NULL, &soon) == ETIMEDOUT);
    CHECK(pthread_join(detached.id, NULL) == EINVAL);
    open_gate();
    CHECK(finish(&after) == &two && finish(&joiner) == &three && finish(&tried) == NULL);
    wait_until_counted(&ended, 1);
    return SURVIVED;
}
