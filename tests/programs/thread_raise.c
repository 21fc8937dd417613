/* What libc knows of the ids of threads: raise, pthread_kill, tgkill, CPU clocks, stacks, and abort at last. */
//# cflags: -pthread
#include "thread.h"

enum { COUNT = 3 };

static __thread volatile sig_atomic_t caught;
static pid_t tids[COUNT], aborting;
static int ready, spinning, stop;

static void on_signal(int signal) { caught += signal; }

static void on_abort(int signal) {
    (void)signal;
    _exit(gettid() == aborting ? SURVIVED : 1);
}

static void *with_id(void *argument) {
    int index = (int)(intptr_t)argument;
    count_up(&ready);
    wait_at_gate();
    CHECK(gettid() != getpid());
    CHECK(raise(SIGUSR1) == 0 && caught == SIGUSR1);
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0 && caught == 2 * SIGUSR1);
    CHECK(tgkill(getpid(), gettid(), SIGUSR1) == 0 && caught == 3 * SIGUSR1);
    caught = 0;
    __atomic_store_n(&tids[index], gettid(), __ATOMIC_SEQ_CST);
    while (!caught) sched_yield();
    CHECK(caught == SIGHUP);
    count_up(&spinning);
    wait_until_set(&stop);
    return argument;
}

static void *call_abort(void *argument) {
    aborting = gettid();
    abort();
    return argument;
}

int main(void) {
    struct thread threads[COUNT], last;
    signal(SIGUSR1, on_signal);
    signal(SIGHUP, on_signal);
    signal(SIGABRT, on_abort);
    for (int i = 0; i < COUNT; i++) start(&threads[i], with_id, (void *)(intptr_t)i);
    wait_until_counted(&ready, COUNT);
    ready_and_wait();
    open_gate();
    for (int i = 0; i < COUNT; i++) {
        wait_until_set(&tids[i]);
        CHECK(pthread_kill(threads[i].id, SIGHUP) == 0);
    }
    wait_until_counted(&spinning, COUNT);
    CHECK(!caught && tids[0] != tids[1] && tids[1] != tids[2] && tids[2] != tids[0]);
    for (int i = 0; i < COUNT; i++) {
        clockid_t clock;
        struct timespec time;
        pthread_attr_t attributes;
        void *stack;
        size_t size;
        CHECK(pthread_getcpuclockid(threads[i].id, &clock) == 0 && clock_gettime(clock, &time) == 0);
        CHECK(pthread_getattr_np(threads[i].id, &attributes) == 0);
        CHECK(pthread_attr_getstack(&attributes, &stack, &size) == 0 && size > 0);
        CHECK((char *)threads[i].id > (char *)stack && (char *)threads[i].id < (char *)stack + size);
        CHECK(pthread_attr_destroy(&attributes) == 0 && pthread_setname_np(threads[i].id, "renamed") == 0);
    }
    set(&stop);
    for (int i = 0; i < COUNT; i++) finish(&threads[i]);
    start(&last, call_abort, NULL);
    finish(&last);
    return 1;
}
