/* Locks that know their owner, taken and given back all the time: the checkpoint comes in the midst of it, with some of them held. */
//# cflags: -pthread
#include "thread.h"
#include <threads.h>

static int stop, rounds;

static void make(pthread_mutex_t *mutex, int type, int robust, int protocol) {
    pthread_mutexattr_t kind;
    CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_settype(&kind, type) == 0);
    CHECK(pthread_mutexattr_setrobust(&kind, robust) == 0 && pthread_mutexattr_setprotocol(&kind, protocol) == 0);
    CHECK(pthread_mutex_init(mutex, &kind) == 0);
}

static void nest(pthread_mutex_t *mutex) {
    for (int i = 0; i < 3; i++) CHECK(pthread_mutex_lock(mutex) == 0);
    CHECK(pthread_mutex_trylock(mutex) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_mutex_unlock(mutex) == 0);
    CHECK(pthread_mutex_unlock(mutex) == EPERM);
}

static void err(pthread_mutex_t *mutex) {
    CHECK(pthread_mutex_lock(mutex) == 0 && pthread_mutex_lock(mutex) == EDEADLK);
    CHECK(pthread_mutex_unlock(mutex) == 0 && pthread_mutex_unlock(mutex) == EPERM);
}

/* Everything that has one user. */
static void *use_alone(void *unused) {
    pthread_mutex_t recursive, checking, robust, inheriting;
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    mtx_t of_c11;
    make(&recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&checking, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&robust, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
    make(&inheriting, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
    CHECK(mtx_init(&of_c11, mtx_plain | mtx_recursive) == thrd_success);
    do {
        nest(&recursive);
        err(&checking);
        CHECK(pthread_rwlock_wrlock(&lock) == 0 && pthread_rwlock_rdlock(&lock) == EDEADLK);
        CHECK(pthread_rwlock_unlock(&lock) == 0);
        nest(&robust);
        err(&inheriting);
        for (int i = 0; i < 3; i++) CHECK(mtx_lock(&of_c11) == thrd_success);
        for (int i = 0; i < 3; i++) CHECK(mtx_unlock(&of_c11) == thrd_success);
        count_up(&rounds);
    } while (!is_set(&stop));
    return unused;
}

/* What several threads want, each to count to an even number. */
static struct shared {
    pthread_mutex_t mutex;
    int count;
} shared[4];
static int turns;

static void *use_together(void *unused) {
    do {
        for (int i = 0; i < LENGTH(shared); i++) {
            CHECK(pthread_mutex_lock(&shared[i].mutex) == 0);
            CHECK(shared[i].count++ % 2 == 0);
            CHECK(shared[i].count++ % 2 == 1);
            CHECK(pthread_mutex_unlock(&shared[i].mutex) == 0);
        }
        count_up(&turns);
    } while (!is_set(&stop));
    return unused;
}

/* A recursive mutex under a condition, from one thread to the other and back. */
static pthread_mutex_t table;
static pthread_cond_t hit = PTHREAD_COND_INITIALIZER;
static int side, hits;

static void *play(void *of) {
    int mine = *(int *)of;
    CHECK(pthread_mutex_lock(&table) == 0);
    while (!is_set(&stop)) {
        while (side != mine && !is_set(&stop)) CHECK(pthread_cond_wait(&hit, &table) == 0);
        side = !mine;
        count_up(&hits);
        CHECK(pthread_cond_broadcast(&hit) == 0);
    }
    CHECK(pthread_mutex_unlock(&table) == 0 && pthread_mutex_unlock(&table) == EPERM);
    return of;
}

int main(void) {
    static int sides[2] = {0, 1};
    struct thread alone[2], together[3], players[2];
    make(&shared[0].mutex, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&shared[1].mutex, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&shared[2].mutex, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
    make(&shared[3].mutex, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
    make(&table, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    for (int i = 0; i < LENGTH(alone); i++) start(&alone[i], use_alone, NULL);
    for (int i = 0; i < LENGTH(together); i++) start(&together[i], use_together, NULL);
    for (int i = 0; i < LENGTH(players); i++) start(&players[i], play, &sides[i]);
    wait_until_counted(&rounds, 10);
    wait_until_counted(&turns, 10);
    wait_until_counted(&hits, 10);
    ready_and_wait();
    rounds = turns = hits = 0;
    wait_until_counted(&rounds, 10);
    wait_until_counted(&turns, 10);
    wait_until_counted(&hits, 10);
    set(&stop);
    CHECK(pthread_mutex_lock(&table) == 0 && pthread_cond_broadcast(&hit) == 0 && pthread_mutex_unlock(&table) == 0);
    for (int i = 0; i < LENGTH(alone); i++) finish(&alone[i]);
    for (int i = 0; i < LENGTH(together); i++) finish(&together[i]);
    for (int i = 0; i < LENGTH(players); i++) finish(&players[i]);
    return SURVIVED;
}
