/* Mutexes that are held and know their owner: recursive, error-checking, robust, priority-inheriting. */
//# cflags: -pthread
#include "survive.h"
#include <pthread.h>

static void make(pthread_mutex_t *mutex, int type, int robust, int protocol) {
    pthread_mutexattr_t kind;
    CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_settype(&kind, type) == 0);
    CHECK(pthread_mutexattr_setrobust(&kind, robust) == 0 && pthread_mutexattr_setprotocol(&kind, protocol) == 0);
    CHECK(pthread_mutex_init(mutex, &kind) == 0 && pthread_mutex_lock(mutex) == 0);
}

int main(void) {
    static pthread_mutex_t recursive, checking, robust, inheriting;
    make(&recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&checking, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&robust, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
    make(&inheriting, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
    ready_and_wait();
    CHECK(pthread_mutex_trylock(&recursive) == 0 && pthread_mutex_unlock(&recursive) == 0);
    CHECK(pthread_mutex_lock(&checking) == EDEADLK);
    CHECK(pthread_mutex_lock(&robust) == EDEADLK);
    CHECK(pthread_mutex_lock(&inheriting) == EDEADLK);
    CHECK(pthread_mutex_unlock(&recursive) == 0 && pthread_mutex_unlock(&checking) == 0);
    CHECK(pthread_mutex_unlock(&robust) == 0 && pthread_mutex_unlock(&inheriting) == 0);
    CHECK(pthread_mutex_unlock(&recursive) == EPERM);
    return SURVIVED;
}
