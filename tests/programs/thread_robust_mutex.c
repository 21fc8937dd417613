/* Robust mutexes whose owner ends, before the checkpoint and after it: the next to take one is told. */
//# cflags: -pthread
#include "thread.h"

enum { KINDS = 4 }; /* bit 0: inherits priority; bit 1: process-shared */

struct lock {
    pthread_mutex_t mutex;
    struct thread waiter;
};

static struct lock *before, *after, *waited_for;
static int held;

static void make_and_lock(struct lock *locks) {
    for (int i = 0; i < KINDS; i++) {
        pthread_mutexattr_t kind;
        CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
        CHECK(!(i & 1) || pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT) == 0);
        CHECK(!(i & 2) || pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0);
        CHECK(pthread_mutex_init(&locks[i].mutex, &kind) == 0 && pthread_mutex_lock(&locks[i].mutex) == 0);
    }
}

static void *lock_and_end(void *locks) {
    make_and_lock(locks);
    return NULL;
}

static void *lock_and_wait(void *argument) {
    make_and_lock(after);
    make_and_lock(waited_for);
    set(&held);
    wait_at_gate();
    CHECK(pthread_mutex_unlock(&after[0].mutex) == 0 && pthread_mutex_lock(&after[0].mutex) == 0);
    return argument;
}

static void *inherit(void *argument) {
    struct lock *lock = argument;
    CHECK(pthread_mutex_lock(&lock->mutex) == EOWNERDEAD && pthread_mutex_consistent(&lock->mutex) == 0);
    CHECK(pthread_mutex_unlock(&lock->mutex) == 0);
    CHECK(pthread_mutex_lock(&lock->mutex) == 0 && pthread_mutex_unlock(&lock->mutex) == 0);
    return argument;
}

int main(void) {
    struct thread ended, owner;
    before = mmap(NULL, 3 * KINDS * sizeof *before, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(before != MAP_FAILED);
    after = before + KINDS;
    waited_for = after + KINDS;
    start(&ended, lock_and_end, before);
    finish(&ended);
    wait_until_gone(&ended);
    start(&owner, lock_and_wait, NULL);
    wait_until_set(&held);
    for (int i = 0; i < KINDS; i++) start(&waited_for[i].waiter, inherit, &waited_for[i]);
    for (int i = 0; i < KINDS; i++) wait_until_in(&waited_for[i].waiter, SYS_futex);
    ready_and_wait();
    for (int i = 0; i < KINDS; i++) CHECK(pthread_mutex_trylock(&after[i].mutex) == EBUSY);
    open_gate();
    finish(&owner);
    for (int i = 0; i < KINDS; i++) finish(&waited_for[i].waiter);
    for (int i = 0; i < KINDS; i++) {
        inherit(&before[i]);
        CHECK(pthread_mutex_trylock(&after[i].mutex) == EOWNERDEAD);
        CHECK(pthread_mutex_unlock(&after[i].mutex) == 0);
        CHECK(pthread_mutex_lock(&after[i].mutex) == ENOTRECOVERABLE);
    }
    return SURVIVED;
}
