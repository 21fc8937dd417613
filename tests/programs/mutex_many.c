/* More held mutexes that know their owner than libckpt's list of them has room for without a mapping of its own. */
//# cflags: -pthread
//# memory: changes
#include "survive.h"
#include <pthread.h>

enum { COUNT = 2000 };

int main(void) {
    static pthread_mutex_t mutexes[COUNT];
    pthread_mutexattr_t kind;
    CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK) == 0);
    for (int i = 0; i < COUNT; i++)
        CHECK(pthread_mutex_init(&mutexes[i], &kind) == 0 && pthread_mutex_lock(&mutexes[i]) == 0);
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        if (pthread_mutex_lock(&mutexes[i]) != EDEADLK) FAIL("mutex %d is not held any more", i);
        CHECK(pthread_mutex_unlock(&mutexes[i]) == 0 && pthread_mutex_unlock(&mutexes[i]) == EPERM);
    }
    return SURVIVED;
}
