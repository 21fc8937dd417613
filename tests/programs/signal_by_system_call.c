/* Handlers that are installed by libc's `syscall`: what is shown is what was asked for, also of the checkpoint signal, which stays libckpt's. */
#include "survive.h"
#include <signal.h>
#include <sys/syscall.h>

/* As the kernel takes it. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

enum { USR2 = 1ul << (SIGUSR2 - 1), HUP = 1ul << (SIGHUP - 1) };

static volatile sig_atomic_t called;

static void on_signal(int signal) { called += signal; }

static long action_of(int signal, const struct kernel_action *new, struct kernel_action *old) {
    return syscall(SYS_rt_sigaction, signal, new, old, sizeof new->mask);
}

static void check_shown(int signal) {
    struct kernel_action shown;
    CHECK(action_of(signal, NULL, &shown) == 0);
    CHECK(shown.handler == on_signal && shown.mask == (HUP | USR2) && shown.flags & SA_NODEFER);
    struct sigaction libcs;
    CHECK(sigaction(signal, NULL, &libcs) == 0 && libcs.sa_handler == on_signal && sigismember(&libcs.sa_mask, SIGUSR2) == 1);
}

static void check_errors(struct kernel_action *action) {
    CHECK(syscall(SYS_rt_sigaction, SIGTERM, NULL, action, 4) == -1 && errno == EINVAL);
    CHECK(action_of(SIGKILL, action, NULL) == -1 && errno == EINVAL && action_of(65, action, NULL) == -1 && errno == EINVAL);
    struct kernel_action *nowhere = (struct kernel_action *)16;
    CHECK(action_of(SIGTERM, nowhere, NULL) == -1 && errno == EFAULT && action_of(SIGTERM, NULL, nowhere) == -1 && errno == EFAULT);
    CHECK(action_of(SIGUSR2, nowhere, NULL) == -1 && errno == EFAULT && action_of(SIGUSR2, NULL, nowhere) == -1 && errno == EFAULT);
}

int main(void) {
    /* libc's own code behind handlers. */
    struct kernel_action action, before;
    CHECK(signal(SIGUSR1, on_signal) == SIG_DFL && action_of(SIGUSR1, NULL, &action) == 0 && action.handler == on_signal);
    action.mask = HUP | USR2, action.flags |= SA_NODEFER;
    CHECK(action_of(SIGUSR1, &action, &before) == 0 && before.handler == on_signal && before.mask != action.mask);
    CHECK(action_of(SIGUSR2, &action, &before) == 0 && before.handler == SIG_DFL);
    check_errors(&action);
    check_shown(SIGUSR1);
    check_shown(SIGUSR2);
    ready_and_wait();
    check_errors(&action);
    check_shown(SIGUSR1);
    check_shown(SIGUSR2);
    CHECK(raise(SIGUSR1) == 0 && called == SIGUSR1);
    return SURVIVED;
}
