/* Mutexes that are held and know their owner: recursive, error-checking, robust, priority-inheriting, in shared memory. */
//# cflags: -pthread
#include "survive.h"
#include <pthread.h>

static void make_in(pthread_mutex_t *mutex, int type, int robust, int protocol, int sharing) {
    pthread_mutexattr_t kind;
    CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_settype(&kind, type) == 0);
    CHECK(pthread_mutexattr_setrobust(&kind, robust) == 0 && pthread_mutexattr_setprotocol(&kind, protocol) == 0);
    CHECK(pthread_mutexattr_setpshared(&kind, sharing) == 0);
    CHECK(pthread_mutex_init(mutex, &kind) == 0 && pthread_mutex_lock(mutex) == 0);
}

static void make(pthread_mutex_t *mutex, int type, int robust, int protocol) {
    make_in(mutex, type, robust, protocol, PTHREAD_PROCESS_PRIVATE);
}

/* In a file in memory, across the borders of pages and of what is written at once. */
static pthread_mutex_t *in_file(int type, int robust, size_t at) {
    enum { SIZE = 4 << 20 };
    int fd = memfd_create("mutexes", 0);
    CHECK(fd >= 0 && ftruncate(fd, SIZE) == 0);
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *reading = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED && reading != MAP_FAILED && close(fd) == 0);
    memset(memory, 7, SIZE);
    memset(memory + at, 0, sizeof(pthread_mutex_t));
    make_in((pthread_mutex_t *)(memory + at), type, robust, PTHREAD_PRIO_NONE, PTHREAD_PROCESS_SHARED);
    return (pthread_mutex_t *)(memory + at);
}

int main(void) {
    static pthread_mutex_t recursive, checking, robust, inheriting;
    make(&recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&checking, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_NONE);
    make(&robust, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE);
    make(&inheriting, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT);
    pthread_mutex_t *first = in_file(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, 0);
    pthread_mutex_t *across = in_file(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST, (1 << 20) - 16);
    ready_and_wait();
    CHECK(pthread_mutex_trylock(first) == 0 && pthread_mutex_unlock(first) == 0 && pthread_mutex_unlock(first) == 0);
    CHECK(pthread_mutex_unlock(first) == EPERM && pthread_mutex_lock(across) == EDEADLK && pthread_mutex_unlock(across) == 0);
    CHECK(pthread_mutex_trylock(&recursive) == 0 && pthread_mutex_unlock(&recursive) == 0);
    CHECK(pthread_mutex_lock(&checking) == EDEADLK);
    CHECK(pthread_mutex_lock(&robust) == EDEADLK);
    CHECK(pthread_mutex_lock(&inheriting) == EDEADLK);
    CHECK(pthread_mutex_unlock(&recursive) == 0 && pthread_mutex_unlock(&checking) == 0);
    CHECK(pthread_mutex_unlock(&robust) == 0 && pthread_mutex_unlock(&inheriting) == 0);
    CHECK(pthread_mutex_unlock(&recursive) == EPERM);
    return SURVIVED;
}
