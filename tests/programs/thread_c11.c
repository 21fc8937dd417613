/* Threads, mutexes, conditions and thread-specific storage of C11. */
//# cflags: -pthread
#include "thread.h"
#include <threads.h>

enum { COUNT = 3 };

static mtx_t held_by_main, guard;
static cnd_t condition;
static tss_t key;
static int waiting, locking, opened, destroyed;

static void destroy(void *value) {
    CHECK(*(int *)value == 5);
    count_up(&destroyed);
}

static int wait_at_condition(void *argument) {
    CHECK(tss_set(key, argument) == thrd_success && mtx_lock(&guard) == thrd_success);
    count_up(&waiting);
    while (!opened) CHECK(cnd_wait(&condition, &guard) == thrd_success);
    CHECK(mtx_unlock(&guard) == thrd_success && tss_get(key) == argument);
    return 11;
}

static int wait_for_mutex(void *argument) {
    (void)argument;
    __atomic_store_n(&locking, gettid(), __ATOMIC_SEQ_CST);
    CHECK(mtx_lock(&held_by_main) == thrd_success && mtx_unlock(&held_by_main) == thrd_success);
    thrd_exit(22);
}

int main(void) {
    thrd_t threads[COUNT], locker;
    int five = 5, result;
    CHECK(mtx_init(&held_by_main, mtx_plain | mtx_recursive) == thrd_success && mtx_init(&guard, mtx_timed) == 0);
    CHECK(cnd_init(&condition) == thrd_success && tss_create(&key, destroy) == thrd_success);
    CHECK(mtx_lock(&held_by_main) == thrd_success);
    for (int i = 0; i < COUNT; i++)
        CHECK(thrd_create(&threads[i], wait_at_condition, &five) == thrd_success);
    CHECK(thrd_create(&locker, wait_for_mutex, NULL) == thrd_success);
    wait_until_counted(&waiting, COUNT);
    wait_until_set(&locking);
    while (!is_in(locking, SYS_futex)) thrd_yield();
    ready_and_wait();
    CHECK(mtx_lock(&held_by_main) == thrd_success && mtx_unlock(&held_by_main) == thrd_success);
    CHECK(mtx_unlock(&held_by_main) == thrd_success);
    CHECK(thrd_join(locker, &result) == thrd_success && result == 22);
    CHECK(mtx_lock(&guard) == thrd_success);
    opened = 1;
    CHECK(cnd_broadcast(&condition) == thrd_success && mtx_unlock(&guard) == thrd_success);
    for (int i = 0; i < COUNT; i++) CHECK(thrd_join(threads[i], &result) == thrd_success && result == 11);
    CHECK(destroyed == COUNT);
    return SURVIVED;
}
