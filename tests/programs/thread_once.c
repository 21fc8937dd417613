/* pthread_once and call_once while the function runs in one thread and others wait for it. */
//# cflags: -pthread
#include "thread.h"
#include <threads.h>

enum { COUNT = 3 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static once_flag flag = ONCE_FLAG_INIT;
static int running, calls;

static void run(void) {
    count_up(&running);
    wait_at_gate();
    count_up(&calls);
}

static void *with_once(void *argument) {
    CHECK(pthread_once(&once, run) == 0 && is_set(&calls));
    return argument;
}

static void *with_flag(void *argument) {
    call_once(&flag, run);
    CHECK(is_set(&calls));
    return argument;
}

int main(void) {
    struct thread threads[2][COUNT];
    for (int i = 0; i < COUNT; i++) {
        start(&threads[0][i], with_once, NULL);
        start(&threads[1][i], with_flag, NULL);
        /* The first ones have begun, so the others wait. */
        wait_until_counted(&running, 2);
    }
    for (int i = 0; i < COUNT; i++) {
        wait_until_in(&threads[0][i], SYS_futex);
        wait_until_in(&threads[1][i], SYS_futex);
    }
    ready_and_wait();
    CHECK(running == 2 && calls == 0);
    open_gate();
    for (int i = 0; i < COUNT; i++) {
        finish(&threads[0][i]);
        finish(&threads[1][i]);
    }
    CHECK(running == 2 && calls == 2);
    return SURVIVED;
}
