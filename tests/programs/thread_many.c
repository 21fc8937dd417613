/* A thousand threads, each with content of its own on its stack and in its thread-local storage. */
//# cflags: -pthread
#include "thread.h"

enum { COUNT = 1000 };

static __thread uint64_t seed;
static int arrived;

static void *wait_with_content(void *argument) {
    char content[PAGE];
    seed = (uintptr_t)argument;
    fill(content, sizeof content, seed);
    count_up(&arrived);
    wait_at_gate();
    CHECK(seed == (uintptr_t)argument && is_filled(content, sizeof content, seed));
    return argument;
}

int main(void) {
    static pthread_t threads[COUNT];
    pthread_attr_t small;
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 64 << 10) == 0);
    for (int i = 0; i < COUNT; i++)
        CHECK(pthread_create(&threads[i], &small, wait_with_content, (void *)(uintptr_t)(i + 1)) == 0);
    wait_until_counted(&arrived, COUNT);
    ready_and_wait();
    open_gate();
    for (int i = 0; i < COUNT; i++) {
        void *result;
        CHECK(pthread_join(threads[i], &result) == 0 && result == (void *)(uintptr_t)(i + 1));
    }
    return SURVIVED;
}
