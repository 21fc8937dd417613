/* Signals that are pending for single threads, with their values and senders, in order; others for the process. */
//# cflags: -pthread
#include "thread.h"

enum { COUNT = 3, QUEUED = 5 };

static sigset_t all;
static int ready;

static void take(int signal, int code, int value) {
    const struct timespec at_once = {0, 0};
    sigset_t one;
    siginfo_t info;
    sigemptyset(&one);
    sigaddset(&one, signal);
    /* libc would show SI_TKILL as SI_USER. */
    CHECK(syscall(SYS_rt_sigtimedwait, &one, &info, &at_once, 8) == signal && info.si_code == code);
    CHECK(info.si_pid == getpid() && info.si_uid == getuid());
    CHECK(code != SI_QUEUE || info.si_value.sival_int == value);
}

static void check_that_nothing_is_pending(void) {
    sigset_t pending;
    CHECK(sigpending(&pending) == 0 && sigisemptyset(&pending));
}

static void *with_pending(void *argument) {
    int own = (int)(intptr_t)argument;
    CHECK(raise(SIGHUP) == 0);
    count_up(&ready);
    wait_at_gate();
    take(SIGHUP, SI_TKILL, 0);
    take(SIGUSR1, SI_TKILL, 0);
    for (int i = 0; i < QUEUED; i++) {
        take(SIGRTMIN + 1, SI_QUEUE, own + i);
        take(SIGRTMIN + 2, SI_QUEUE, own - i);
    }
    /* The process's own are taken by one of them. */
    if (own == 100) {
        take(SIGTERM, SI_USER, 0);
        for (int i = 0; i < QUEUED; i++) take(SIGRTMIN + 3, SI_QUEUE, i);
    }
    return NULL;
}

int main(void) {
    struct thread threads[COUNT];
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
    for (int i = 0; i < COUNT; i++) start(&threads[i], with_pending, (void *)(intptr_t)(100 * (i + 1)));
    wait_until_counted(&ready, COUNT);
    for (int i = 0; i < COUNT; i++) {
        CHECK(pthread_kill(threads[i].id, SIGUSR1) == 0);
        for (int j = 0; j < QUEUED; j++) {
            union sigval up = {.sival_int = 100 * (i + 1) + j}, down = {.sival_int = 100 * (i + 1) - j};
            CHECK(pthread_sigqueue(threads[i].id, SIGRTMIN + 1, up) == 0);
            CHECK(pthread_sigqueue(threads[i].id, SIGRTMIN + 2, down) == 0);
        }
    }
    CHECK(kill(getpid(), SIGTERM) == 0);
    for (int i = 0; i < QUEUED; i++)
        CHECK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i}) == 0);
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
    ready_and_wait();
    take(SIGUSR1, SI_TKILL, 0);
    open_gate();
    for (int i = 0; i < COUNT; i++) finish(&threads[i]);
    check_that_nothing_is_pending();
    return SURVIVED;
}
