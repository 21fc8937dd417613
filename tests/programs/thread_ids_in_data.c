/* Numbers that happen to be ids of threads, in surroundings that look nearly like those of a held lock, or exactly like them. */
//# cflags: -pthread
#include "thread.h"

enum { WORDS = 14, SHAPES = 6 };

/* TID stands for the id of a thread. */
#define TID 0xffffffffu
static const uint32_t shapes[SHAPES][WORDS] = {
    {1, 0, TID, 2, 2, 0xfa114280, 0, 1},               /* a list of two */
    {1, 0, TID, 1, 'B', 0, 1, 0, TID},                 /* a string of one character, before another object */
    {1, 0, TID, 20, 2, 0, 0, 0, 0, 0},                 /* an array of twenty numbers */
    {1, 5, TID, 1, 2, 0, 0, 0, 0, 0},                  /* a mutex that is not recursive and counts */
    {1, 1, TID, 1, 1, 0, 0, 0, 7, 0},                  /* a mutex in a list of mutexes that it may not be in */
    {3, 0, 1, 1, 0, 0, TID, 0, 0, 0, 0, 0, 0x100, 0},  /* a read-write lock that prefers nobody there is */
};
static uint32_t data[2][SHAPES][WORDS];

static uint32_t of_shape(int shape, int word, uint32_t tid) {
    return shapes[shape][word] == TID ? tid : shapes[shape][word];
}

/* Held locks, and copies of these in which nothing is ever locked. */
static struct locks {
    pthread_mutex_t mutexes[4];
    pthread_rwlock_t writing;
} locks[2];
static unsigned char copies[sizeof locks], inverted[sizeof locks];
static int held;

static void make(pthread_mutex_t *mutex, int type, int robust, int protocol) {
    pthread_mutexattr_t kind;
    CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_settype(&kind, type) == 0);
    CHECK(pthread_mutexattr_setrobust(&kind, robust) == 0 && pthread_mutexattr_setprotocol(&kind, protocol) == 0);
    CHECK(pthread_mutex_init(mutex, &kind) == 0 && pthread_mutex_lock(mutex) == 0);
}

static void lock_all(struct locks *all) {
    make(&all->mutexes[0], PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&all->mutexes[1], PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&all->mutexes[2], PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
    make(&all->mutexes[3], PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
    CHECK(pthread_rwlock_init(&all->writing, NULL) == 0 && pthread_rwlock_wrlock(&all->writing) == 0);
}

static void unlock_all(struct locks *all) {
    for (int i = 0; i < LENGTH(all->mutexes); i++) CHECK(pthread_mutex_unlock(&all->mutexes[i]) == 0);
    CHECK(pthread_rwlock_unlock(&all->writing) == 0 && pthread_rwlock_trywrlock(&all->writing) == 0);
}

static void *hold(void *argument) {
    lock_all(&locks[1]);
    set(&held);
    wait_at_gate();
    unlock_all(&locks[1]);
    return argument;
}

int main(void) {
    struct thread other;
    start(&other, hold, NULL);
    lock_all(&locks[0]);
    wait_until_set(&held);
    memcpy(copies, locks, sizeof locks);
    for (size_t i = 0; i < sizeof copies; i++) inverted[i] = (unsigned char)~copies[i];
    const uint32_t tids[] = {getpid(), other.tid};
    for (int i = 0; i < LENGTH(tids); i++)
        for (int shape = 0; shape < SHAPES; shape++)
            for (int word = 0; word < WORDS; word++) data[i][shape][word] = of_shape(shape, word, tids[i]);
    ready_and_wait();
    for (int i = 0; i < LENGTH(tids); i++)
        for (int shape = 0; shape < SHAPES; shape++)
            for (int word = 0; word < WORDS; word++)
                if (data[i][shape][word] != of_shape(shape, word, tids[i]))
                    FAIL("thread %d, shape %d: word %d is %u", i, shape, word, data[i][shape][word]);
    for (size_t i = 0; i < sizeof copies; i++)
        if (copies[i] != (unsigned char)~inverted[i]) FAIL("byte %zu of the copies is %u", i, copies[i]);
    unlock_all(&locks[0]);
    open_gate();
    finish(&other);
    return SURVIVED;
}
