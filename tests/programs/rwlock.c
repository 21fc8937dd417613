/* A read-write lock that is held for writing, another for reading, and some that lie across two pages. */
//# cflags: -pthread
#include "survive.h"
#include <pthread.h>

int main(void) {
    static pthread_rwlock_t writing = PTHREAD_RWLOCK_INITIALIZER, reading = PTHREAD_RWLOCK_INITIALIZER;
    CHECK(pthread_rwlock_wrlock(&writing) == 0 && pthread_rwlock_rdlock(&reading) == 0);
    char *memory = mmap(NULL, 1024 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    fill(memory, 1024 * PAGE, 31);
    /* Across every 16th page border, so also across those of whatever pieces the memory is written in. */
    for (int page = 16; page < 1024; page += 16) {
        pthread_rwlock_t *lock = (pthread_rwlock_t *)(memory + page * PAGE - 8 * (page / 16 % 7));
        CHECK(pthread_rwlock_init(lock, NULL) == 0 && pthread_rwlock_wrlock(lock) == 0);
    }
    ready_and_wait();
    CHECK(pthread_rwlock_wrlock(&writing) == EDEADLK);
    for (int page = 16; page < 1024; page += 16) {
        pthread_rwlock_t *lock = (pthread_rwlock_t *)(memory + page * PAGE - 8 * (page / 16 % 7));
        CHECK(pthread_rwlock_wrlock(lock) == EDEADLK && pthread_rwlock_unlock(lock) == 0);
        CHECK(pthread_rwlock_trywrlock(lock) == 0 && pthread_rwlock_unlock(lock) == 0);
    }
    CHECK(pthread_rwlock_unlock(&writing) == 0 && pthread_rwlock_unlock(&reading) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_rwlock_trywrlock(&writing) == 0 && pthread_rwlock_unlock(&writing) == 0);
        CHECK(pthread_rwlock_tryrdlock(&reading) == 0 && pthread_rwlock_unlock(&reading) == 0);
    }
    return SURVIVED;
}
