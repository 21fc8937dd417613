/* Mutexes of all kinds that the main thread and another one hold, with threads that wait for them. */
//# cflags: -pthread
#include "thread.h"

static const struct kind {
    int type, robust, protocol, shared;
} kinds[] = {
    {PTHREAD_MUTEX_NORMAL, 0, 0, 0},    {PTHREAD_MUTEX_ADAPTIVE_NP, 0, 0, 0}, {PTHREAD_MUTEX_RECURSIVE, 0, 0, 0},
    {PTHREAD_MUTEX_ERRORCHECK, 0, 0, 0}, {PTHREAD_MUTEX_NORMAL, 1, 0, 0},     {PTHREAD_MUTEX_RECURSIVE, 1, 0, 0},
    {PTHREAD_MUTEX_ERRORCHECK, 1, 0, 0}, {PTHREAD_MUTEX_NORMAL, 0, 1, 0},     {PTHREAD_MUTEX_RECURSIVE, 0, 1, 0},
    {PTHREAD_MUTEX_ERRORCHECK, 0, 1, 0}, {PTHREAD_MUTEX_ERRORCHECK, 1, 1, 0}, {PTHREAD_MUTEX_NORMAL, 0, 0, 1},
    {PTHREAD_MUTEX_RECURSIVE, 0, 0, 1},  {PTHREAD_MUTEX_ERRORCHECK, 0, 0, 1}, {PTHREAD_MUTEX_ERRORCHECK, 1, 0, 1},
    {PTHREAD_MUTEX_ERRORCHECK, 0, 1, 1}, {PTHREAD_MUTEX_RECURSIVE, 1, 1, 1},
};
enum { KINDS = LENGTH(kinds) };

struct lock {
    pthread_mutex_t mutex;
    const struct kind *kind;
    struct thread waiter;
    int taken;
};

/* Process-shared ones must be in shared memory, so all are. */
static struct lock *of_main, *of_sibling;
static int held;

static void lock_all(struct lock *locks) {
    for (int i = 0; i < KINDS; i++) {
        pthread_mutexattr_t kind;
        locks[i].kind = &kinds[i];
        CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_settype(&kind, kinds[i].type) == 0);
        CHECK(!kinds[i].robust || pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
        CHECK(!kinds[i].protocol || pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT) == 0);
        CHECK(!kinds[i].shared || pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0);
        CHECK(pthread_mutex_init(&locks[i].mutex, &kind) == 0 && pthread_mutex_lock(&locks[i].mutex) == 0);
        if (kinds[i].type == PTHREAD_MUTEX_RECURSIVE) CHECK(pthread_mutex_lock(&locks[i].mutex) == 0);
    }
}

static void unlock_all(struct lock *locks) {
    for (int i = 0; i < KINDS; i++) {
        pthread_mutex_t *mutex = &locks[i].mutex;
        int type = kinds[i].type;
        CHECK(!is_set(&locks[i].taken));
        if (type == PTHREAD_MUTEX_ERRORCHECK) CHECK(pthread_mutex_lock(mutex) == EDEADLK);
        if (type == PTHREAD_MUTEX_RECURSIVE) CHECK(pthread_mutex_trylock(mutex) == 0);
        for (int times = type == PTHREAD_MUTEX_RECURSIVE ? 3 : 1; times > 0; times--)
            CHECK(pthread_mutex_unlock(mutex) == 0);
    }
}

static void check_that_they_are_not_ours(struct lock *locks) {
    for (int i = 0; i < KINDS; i++) {
        int type = kinds[i].type;
        int asks = kinds[i].robust || type == PTHREAD_MUTEX_RECURSIVE || type == PTHREAD_MUTEX_ERRORCHECK;
        CHECK(pthread_mutex_trylock(&locks[i].mutex) == EBUSY);
        CHECK(!asks || pthread_mutex_unlock(&locks[i].mutex) == EPERM);
    }
}

static void *take(void *argument) {
    struct lock *lock = argument;
    CHECK(pthread_mutex_lock(&lock->mutex) == 0);
    set(&lock->taken);
    if (lock->kind->type == PTHREAD_MUTEX_ERRORCHECK) CHECK(pthread_mutex_lock(&lock->mutex) == EDEADLK);
    CHECK(pthread_mutex_unlock(&lock->mutex) == 0);
    return argument;
}

static void *hold(void *argument) {
    lock_all(of_sibling);
    set(&held);
    wait_at_gate();
    check_that_they_are_not_ours(of_main);
    unlock_all(of_sibling);
    return argument;
}

int main(void) {
    struct thread holder;
    of_main = mmap(NULL, 2 * KINDS * sizeof *of_main, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(of_main != MAP_FAILED);
    of_sibling = of_main + KINDS;
    lock_all(of_main);
    start(&holder, hold, NULL);
    wait_until_set(&held);
    for (int i = 0; i < 2 * KINDS; i++) start(&of_main[i].waiter, take, &of_main[i]);
    for (int i = 0; i < 2 * KINDS; i++) wait_until_in(&of_main[i].waiter, SYS_futex);
    ready_and_wait();
    check_that_they_are_not_ours(of_sibling);
    open_gate();
    finish(&holder);
    unlock_all(of_main);
    for (int i = 0; i < 2 * KINDS; i++) finish(&of_main[i].waiter);
    for (int i = 0; i < 2 * KINDS; i++) CHECK(pthread_mutex_destroy(&of_main[i].mutex) == 0);
    return SURVIVED;
}
