/* Threads in functions by name, for debuggers: one computes, one waits for a lock, one sleeps. */
#include "thread.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline)) static void *computing(void *argument) {
    uint64_t steps = 0;
    while (!is_set(&gate)) steps++;
    CHECK(steps > 0);
    return argument;
}

__attribute__((noinline)) static void *locking(void *argument) {
    CHECK(pthread_mutex_lock(&mutex) == 0);
    CHECK(pthread_mutex_unlock(&mutex) == 0);
    return argument;
}

__attribute__((noinline)) static void *sleeping(void *argument) {
    while (!is_set(&gate)) nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    return argument;
}

int main(void) {
    void *(*const routines[])(void *) = {computing, locking, sleeping};
    struct thread threads[LENGTH(routines)];
    memset(threads, 0, sizeof threads);
    CHECK(pthread_mutex_lock(&mutex) == 0);
    for (int i = 0; i < LENGTH(threads); i++) start(&threads[i], routines[i], &threads[i]);
    wait_until_set(&threads[0].tid);
    wait_until_in(&threads[1], SYS_futex);
    wait_until_set(&threads[2].tid);
    ready_and_wait();
    set(&gate);
    CHECK(pthread_mutex_unlock(&mutex) == 0);
    for (int i = 0; i < LENGTH(threads); i++) CHECK(finish(&threads[i]) == &threads[i]);
    return SURVIVED;
}
