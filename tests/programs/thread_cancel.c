/* Cancellation: of blocked and of spinning threads, of one that has it disabled, and one that was sent before. */
//# cflags: -pthread
#include "thread.h"
#include <poll.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int ready, cleaned, go;

static void clean(void *unlocked) {
    if (unlocked) CHECK(pthread_mutex_unlock(unlocked) == 0);
    count_up(&cleaned);
}

static void *in_pause(void *argument) {
    pthread_cleanup_push(clean, NULL);
    count_up(&ready);
    for (;;) pause();
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_poll(void *argument) {
    pthread_cleanup_push(clean, NULL);
    count_up(&ready);
    for (;;) poll(NULL, 0, 3600 * 1000);
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_condition(void *argument) {
    CHECK(pthread_mutex_lock(&mutex) == 0);
    pthread_cleanup_push(clean, &mutex);
    count_up(&ready);
    for (;;) pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(0);
    return argument;
}

static void *spinning(void *argument) {
    int old;
    CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old) == 0 && old == PTHREAD_CANCEL_DEFERRED);
    pthread_cleanup_push(clean, NULL);
    count_up(&ready);
    for (;;) continue;
    pthread_cleanup_pop(0);
    return argument;
}

static void *disabled(void *argument) {
    int old;
    pthread_cleanup_push(clean, NULL);
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
    CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
    CHECK(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL) == 0);
    count_up(&ready);
    wait_until_set(&go);
    pthread_testcancel();
    CHECK(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old) == 0 && old == PTHREAD_CANCEL_DEFERRED);
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old) == 0 && old == PTHREAD_CANCEL_DISABLE);
    pthread_testcancel();
    FAIL("not cancelled");
    pthread_cleanup_pop(0);
    return argument;
}

/* The signal that libc sends is pending at the checkpoint. */
static void *all_blocked(void *argument) {
    pthread_cleanup_push(clean, NULL);
    CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
    set_kernel_mask(~0ull);
    count_up(&ready);
    wait_until_set(&go);
    set_kernel_mask(0);
    FAIL("not cancelled");
    pthread_cleanup_pop(0);
    return argument;
}

int main(void) {
    void *(*const runs[])(void *) = {in_pause, in_poll, in_condition, spinning, disabled, all_blocked};
    enum { AFTER = 4, COUNT = 6 };
    struct thread threads[COUNT], ended;
    for (int i = 0; i < COUNT; i++) start(&threads[i], runs[i], NULL);
    start(&ended, wait_at_gate_and_return, &mutex);
    wait_until_counted(&ready, COUNT);
    wait_until_in(&threads[0], SYS_pause);
    wait_until_in(&threads[1], SYS_poll);
    wait_until_in(&threads[2], SYS_futex);
    for (int i = AFTER; i < COUNT; i++) CHECK(pthread_cancel(threads[i].id) == 0);
    ready_and_wait();
    CHECK(cleaned == 0);
    for (int i = 0; i < AFTER; i++) CHECK(pthread_cancel(threads[i].id) == 0);
    set(&go);
    open_gate();
    for (int i = 0; i < COUNT; i++) CHECK(finish(&threads[i]) == PTHREAD_CANCELED);
    CHECK(finish(&ended) == &mutex && cleaned == COUNT && pthread_mutex_trylock(&mutex) == 0);
    return SURVIVED;
}
