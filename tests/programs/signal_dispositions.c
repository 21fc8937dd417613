/* The dispositions of all signals, with their flags and masks. */
#include "survive.h"
#include <signal.h>
#include <ucontext.h>

enum { SIGNALS = 65, RESTORER_FLAG = 0x04000000, CAUGHT = 62, INFORMED = 60 };

static volatile sig_atomic_t caught, informed;

static void on_signal(int signal) { caught = signal; }

/* All arguments arrive, and the handler of one signal is not taken for another's. */
static void on_informed(int signal, siginfo_t *info, void *context) {
    const ucontext_t *interrupted = context;
    if (info->si_signo == signal && info->si_pid == getpid() && interrupted->uc_mcontext.gregs[REG_RSP]) informed = signal;
}

static int belongs_to_the_system(int signal) {
    return signal == SIGKILL || signal == SIGSTOP || signal == 32 || signal == 33;
}

static void look(struct sigaction *actions) {
    for (int signal = 1; signal < SIGNALS; signal++)
        if (!belongs_to_the_system(signal)) CHECK(sigaction(signal, NULL, &actions[signal]) == 0);
}

int main(void) {
    static struct sigaction before[SIGNALS], after[SIGNALS];
    static const int flags[] = {0, SA_RESTART, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_NOCLDSTOP | SA_RESTART};
    for (int signal = 1; signal < SIGNALS; signal++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags[signal % 6]};
        if (signal % 7 == 1) action.sa_handler = SIG_IGN;
        if (signal % 7 == 2) action.sa_handler = SIG_DFL;
        sigemptyset(&action.sa_mask);
        sigaddset(&action.sa_mask, 1 + (signal * 5) % 31);
        sigaddset(&action.sa_mask, SIGRTMIN + signal % 20);
        if (!belongs_to_the_system(signal)) CHECK(sigaction(signal, &action, NULL) == 0);
    }
    struct sigaction informs = {.sa_sigaction = on_informed, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(INFORMED, &informs, NULL) == 0);
    look(before);
    CHECK(before[SIGUSR2].sa_handler == on_signal && (before[SIGUSR2].sa_flags & ~RESTORER_FLAG) == flags[SIGUSR2 % 6]);
    ready_and_wait();
    look(after);
    for (int signal = 1; signal < SIGNALS; signal++) {
        CHECK(before[signal].sa_handler == after[signal].sa_handler);
        CHECK(before[signal].sa_flags == after[signal].sa_flags);
        CHECK(memcmp(&before[signal].sa_mask, &after[signal].sa_mask, 8) == 0);
    }
    CHECK(before[SIGTERM].sa_handler == SIG_IGN && raise(SIGTERM) == 0 && !caught);
    CHECK(before[CAUGHT].sa_handler == on_signal && raise(CAUGHT) == 0 && caught == CAUGHT);
    CHECK(signal(CAUGHT, SIG_DFL) == on_signal && ssignal(CAUGHT - 1, SIG_IGN) == on_signal);
    CHECK(raise(INFORMED) == 0 && informed == INFORMED);
    return SURVIVED;
}
