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
    /* What cannot be written is found out before anything is changed. */
    static const struct kernel_action constant;
    struct kernel_action *read_only = (struct kernel_action *)(uintptr_t)&constant;
    CHECK(action_of(SIGUSR2, NULL, read_only) == -1 && errno == EFAULT && action_of(SIGUSR1, NULL, read_only) == -1);
    CHECK(action_of(SIGUSR2, nowhere, NULL) == -1 && errno == EFAULT && action_of(SIGUSR2, NULL, nowhere) == -1 && errno == EFAULT);
}

/* As it was shown, the disposition of one signal is that of any. */
static void copy_to_another(void) {
    struct sigaction libcs = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct kernel_action shown, none = {.handler = SIG_DFL};
    CHECK(action_of(SIGUSR2, &none, NULL) == 0 && action_of(SIGUSR2, NULL, &shown) == 0 && shown.flags == 0);
    CHECK(sigaction(SIGUSR2, &libcs, NULL) == 0 && action_of(SIGUSR2, NULL, &shown) == 0 && shown.restorer);
    CHECK(action_of(SIGHUP, &shown, NULL) == 0 && action_of(SIGHUP, NULL, &none) == 0 && none.restorer == shown.restorer);
    called = 0;
    CHECK(raise(SIGHUP) == 0 && called == SIGHUP && none.flags == shown.flags);
    /* The old one in the place of the new one. */
    none = shown;
    CHECK(action_of(SIGUSR2, &none, &none) == 0 && none.handler == on_signal && none.restorer == shown.restorer);
}

int main(void) {
    copy_to_another();
    /* libc's own code behind handlers. */
    struct kernel_action action, before;
    CHECK(signal(SIGUSR1, on_signal) == SIG_DFL && action_of(SIGUSR1, NULL, &action) == 0 && action.handler == on_signal);
    action.mask = HUP | USR2, action.flags |= SA_NODEFER;
    CHECK(action_of(SIGUSR1, &action, &before) == 0 && before.handler == on_signal && before.mask != action.mask);
    CHECK(action_of(SIGUSR2, &action, &before) == 0 && before.handler == on_signal);
    check_errors(&action);
    check_shown(SIGUSR1);
    check_shown(SIGUSR2);
    ready_and_wait();
    check_errors(&action);
    check_shown(SIGUSR1);
    check_shown(SIGUSR2);
    called = 0;
    CHECK(raise(SIGUSR1) == 0 && called == SIGUSR1);
    copy_to_another();
    return SURVIVED;
}
