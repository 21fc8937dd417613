/* Condition variables that threads wait at, with and without a time limit, one of them across processes. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"

enum { COUNT = 6, SHORT = 1 };

static struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
} *shared;
static int waiting, tokens, taken, never;

/* Half of them have an hour. */
static void *wait_for_token(void *with_limit) {
    struct timespec limit = time_of(now() + 3600);
    CHECK(pthread_mutex_lock(&shared->mutex) == 0);
    count_up(&waiting);
    while (!tokens) {
        if (with_limit)
            CHECK(pthread_cond_timedwait(&shared->condition, &shared->mutex, &limit) == 0);
        else
            CHECK(pthread_cond_wait(&shared->condition, &shared->mutex) == 0);
    }
    tokens--;
    taken++;
    CHECK(pthread_mutex_unlock(&shared->mutex) == 0);
    return NULL;
}

static void *wait_for_nothing(void *argument) {
    double end = now() + SHORT;
    struct timespec limit = time_of(end);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition;
    int result = 0;
    CHECK(pthread_cond_init(&condition, NULL) == 0 && pthread_mutex_lock(&mutex) == 0);
    count_up(&waiting);
    while (!never && result == 0) result = pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &limit);
    CHECK(result == ETIMEDOUT && now() > end - 1e-6);
    return argument;
}

int main(void) {
    struct thread threads[COUNT], limited;
    pthread_mutexattr_t mutex_kind;
    pthread_condattr_t kind;
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    CHECK(pthread_mutexattr_init(&mutex_kind) == 0 && pthread_condattr_init(&kind) == 0);
    CHECK(pthread_mutexattr_setprotocol(&mutex_kind, PTHREAD_PRIO_INHERIT) == 0);
    CHECK(pthread_mutexattr_setpshared(&mutex_kind, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_condattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_condattr_setclock(&kind, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_mutex_init(&shared->mutex, &mutex_kind) == 0 && pthread_cond_init(&shared->condition, &kind) == 0);
    for (int i = 0; i < COUNT; i++) start(&threads[i], wait_for_token, i % 2 ? &limited : NULL);
    start(&limited, wait_for_nothing, NULL);
    wait_until_counted(&waiting, COUNT + 1);
    for (int i = 0; i < COUNT; i++) wait_until_in(&threads[i], SYS_futex);
    ready_and_wait();
    CHECK(pthread_mutex_lock(&shared->mutex) == 0 && taken == 0);
    tokens = 1;
    CHECK(pthread_cond_signal(&shared->condition) == 0);
    while (tokens) {
        CHECK(pthread_mutex_unlock(&shared->mutex) == 0);
        sched_yield();
        CHECK(pthread_mutex_lock(&shared->mutex) == 0);
    }
    CHECK(taken == 1);
    tokens = COUNT - 1;
    CHECK(pthread_cond_broadcast(&shared->condition) == 0 && pthread_mutex_unlock(&shared->mutex) == 0);
    for (int i = 0; i < COUNT; i++) finish(&threads[i]);
    CHECK(taken == COUNT && pthread_cond_destroy(&shared->condition) == 0);
    finish(&limited);
    return SURVIVED;
}
