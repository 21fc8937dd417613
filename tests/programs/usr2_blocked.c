/* A program that blocks all signals is checkpointed nevertheless, and sees SIGUSR2 blocked. */
//# cflags: -pthread
#include "survive.h"
#include <pthread.h>
#include <signal.h>

static int is_blocked(int signal) {
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    return sigismember(&mask, signal);
}

int main(void) {
    sigset_t all, old;
    sigfillset(&all);
    CHECK(!is_blocked(SIGUSR2));
    CHECK(sigprocmask(SIG_BLOCK, &all, &old) == 0 && !sigismember(&old, SIGUSR2) && is_blocked(SIGUSR2));
    CHECK(sigprocmask(SIG_SETMASK, &old, &all) == 0 && sigismember(&all, SIGUSR2) && !is_blocked(SIGUSR2));
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0 && is_blocked(SIGUSR2));
    ready_and_wait();
    CHECK(is_blocked(SIGUSR2) && is_blocked(SIGTERM));
    CHECK(pthread_sigmask(SIG_UNBLOCK, &all, &old) == 0 && sigismember(&old, SIGUSR2) && !is_blocked(SIGUSR2));
    return SURVIVED;
}
