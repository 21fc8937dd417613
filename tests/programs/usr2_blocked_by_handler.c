/* A checkpoint inside a handler that blocks all signals. */
#include "survive.h"
#include <signal.h>

static volatile sig_atomic_t done;

static void on_signal(int signal) {
    (void)signal;
    ready_and_wait();
    done = 1;
}

int main(void) {
    struct sigaction action = {.sa_handler = on_signal}, now;
    sigset_t after;
    sigfillset(&action.sa_mask);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR1, NULL, &now) == 0);
    CHECK(sigismember(&now.sa_mask, SIGUSR2) == 1);
    CHECK(raise(SIGUSR1) == 0 && done);
    CHECK(sigprocmask(SIG_BLOCK, NULL, &after) == 0);
    CHECK(!sigismember(&after, SIGUSR2) && !sigismember(&after, SIGUSR1) && !sigismember(&after, SIGTERM));
    return SURVIVED;
}
