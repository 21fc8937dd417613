/* Threads that begin and end all the time, joined and detached. */
//# cflags: -pthread
#include "thread.h"

/* So many stacks are in libc's cache that none is ever mapped or unmapped later. */
enum { CHURNERS = 3, STACKS = 64, STACK = 64 << 10 };

static pthread_attr_t joinable, detached;
static int rounds[CHURNERS], stop;

static void *live_briefly(void *counter) {
    count_up(counter);
    return counter;
}

static void *churn(void *counter) {
    for (int lived = 0; !is_set(&stop);) {
        pthread_t thread;
        void *result;
        CHECK(pthread_create(&thread, &joinable, live_briefly, counter) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == counter);
        CHECK(pthread_create(&thread, &detached, live_briefly, counter) == 0);
        wait_until_counted(counter, lived += 2);
        CHECK(*(int *)counter == lived);
    }
    return NULL;
}

int main(void) {
    pthread_t filling[STACKS];
    struct thread churners[CHURNERS];
    CHECK(pthread_attr_init(&joinable) == 0 && pthread_attr_setstacksize(&joinable, STACK) == 0);
    CHECK(pthread_attr_init(&detached) == 0 && pthread_attr_setstacksize(&detached, STACK) == 0);
    CHECK(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
    for (int i = 0; i < CHURNERS; i++) start(&churners[i], churn, &rounds[i]);
    for (int i = 0; i < STACKS; i++)
        CHECK(pthread_create(&filling[i], &joinable, wait_at_gate_and_return, NULL) == 0);
    open_gate();
    for (int i = 0; i < STACKS; i++) CHECK(pthread_join(filling[i], NULL) == 0);
    for (int i = 0; i < CHURNERS; i++) wait_until_counted(&rounds[i], 100);
    ready_and_wait();
    set(&stop);
    for (int i = 0; i < CHURNERS; i++) finish(&churners[i]);
    return SURVIVED;
}
