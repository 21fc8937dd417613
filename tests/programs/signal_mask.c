/* The set of blocked signals. */
#include "survive.h"
#include <signal.h>

static volatile sig_atomic_t caught;

static void on_signal(int signal) { caught = signal; }

int main(void) {
    sigset_t set, before, after;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGSEGV);
    sigaddset(&set, SIGRTMIN + 2);
    signal(SIGHUP, on_signal);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && sigprocmask(SIG_BLOCK, NULL, &before) == 0);
    ready_and_wait();
    CHECK(sigprocmask(SIG_BLOCK, NULL, &after) == 0 && memcmp(&before, &after, 8) == 0);
    CHECK(raise(SIGHUP) == 0 && !caught);
    CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0 && caught == SIGHUP);
    return SURVIVED;
}
