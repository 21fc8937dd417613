/* Held mutexes that know their owner, each across a multiple of 1 MiB, in memory that is large enough to be written in parts. */
//# ldflags: -pthread
#include "survive.h"
#include <pthread.h>

enum { MEBIBYTE = 1 << 20, COUNT = 24 };

int main(void) {
    pthread_mutexattr_t kind;
    CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK) == 0);
    char *memory = map((COUNT + 2) * (size_t)MEBIBYTE, PROT_READ | PROT_WRITE);
    fill(memory, (COUNT + 2) * (size_t)MEBIBYTE, 1);
    char *first = (char *)(((uintptr_t)memory + MEBIBYTE) & ~(uintptr_t)(MEBIBYTE - 1));
    pthread_mutex_t *mutexes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        /* Another part of it in front of the border each time. */
        mutexes[i] = (pthread_mutex_t *)(first + (size_t)i * MEBIBYTE - 8 * (1 + i % 4));
        CHECK(pthread_mutex_init(mutexes[i], &kind) == 0 && pthread_mutex_lock(mutexes[i]) == 0);
    }
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        if (pthread_mutex_lock(mutexes[i]) != EDEADLK) FAIL("mutex %d is not held any more", i);
        CHECK(pthread_mutex_unlock(mutexes[i]) == 0);
    }
    return SURVIVED;
}
