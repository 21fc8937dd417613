/* Thread-local storage, errno, and thread-specific data with its destructors. */
//# cflags: -pthread
#include "thread.h"

/* More keys than a thread has room for without an allocation. */
enum { COUNT = 4, KEYS = 50 };

static pthread_key_t keys[KEYS];
static __thread int local = 7;
static int arrived, go, destroyed;

static void destroy(void *value) {
    CHECK(*(int *)value == local);
    count_up(&destroyed);
}

static void *with_values(void *argument) {
    local = (int)(intptr_t)argument;
    for (int i = 0; i < KEYS; i++) CHECK(pthread_setspecific(keys[i], &local) == 0);
    errno = local;
    count_up(&arrived);
    wait_until_set(&go);
    CHECK(errno == (int)(intptr_t)argument && local == errno);
    for (int i = 0; i < KEYS; i++) CHECK(pthread_getspecific(keys[i]) == &local);
    return NULL;
}

int main(void) {
    struct thread threads[COUNT];
    for (int i = 0; i < KEYS; i++) CHECK(pthread_key_create(&keys[i], destroy) == 0);
    for (int i = 0; i < COUNT; i++) start(&threads[i], with_values, (void *)(intptr_t)(100 + i));
    wait_until_counted(&arrived, COUNT);
    ready_and_wait();
    CHECK(local == 7 && pthread_getspecific(keys[0]) == NULL);
    set(&go);
    for (int i = 0; i < COUNT; i++) finish(&threads[i]);
    CHECK(destroyed == COUNT * KEYS);
    return SURVIVED;
}
