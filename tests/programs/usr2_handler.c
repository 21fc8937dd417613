/* The program's own handler for SIGUSR2, by sigaction and by signal: libckpt stays effective and hides itself. */
#include "survive.h"
#include <signal.h>

enum { RESTORER_FLAG = 0x04000000 };

static void first(int signal) { (void)signal; }

static void second(int signal, siginfo_t *info, void *context) { (void)signal, (void)info, (void)context; }

int main(void) {
    struct sigaction action = {.sa_sigaction = second, .sa_flags = SA_SIGINFO | SA_RESTART}, old, now;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGTERM);
    CHECK(sigaction(SIGUSR2, NULL, &old) == 0 && old.sa_handler == SIG_DFL && old.sa_flags == 0);
    CHECK(signal(SIGUSR2, first) == SIG_DFL);
    CHECK(sigaction(SIGUSR2, &action, &old) == 0 && old.sa_handler == first);
    ready_and_wait();
    CHECK(sigaction(SIGUSR2, NULL, &now) == 0);
    CHECK(now.sa_sigaction == second && (now.sa_flags & ~RESTORER_FLAG) == action.sa_flags);
    CHECK(sigismember(&now.sa_mask, SIGTERM) == 1 && sigismember(&now.sa_mask, SIGHUP) == 0);
    CHECK(signal(SIGUSR2, first) == now.sa_handler && signal(SIGUSR2, SIG_IGN) == first);
    return SURVIVED;
}
