/* What libc's functions for signals return and show for SIGUSR2: line by line what they do without libckpt. */
//# cflags: -pthread -Wno-deprecated-declarations
#include "survive.h"
#include <pthread.h>
#include <signal.h>

enum { HUP = 1 << (SIGHUP - 1), USR2 = 1 << (SIGUSR2 - 1) };

static void handler(int signal) { (void)signal; }

static const char *name_of(void (*action)(int)) {
    return action == SIG_DFL    ? "default"
           : action == SIG_IGN  ? "ignored"
           : action == SIG_ERR  ? "error"
           : action == SIG_HOLD ? "held"
           : action == handler  ? "handler"
                                : "something else";
}

static uint64_t bits(const sigset_t *set) {
    uint64_t bits = 0;
    for (int signal = 1; signal < 64; signal++) bits |= (uint64_t)(sigismember(set, signal) == 1) << (signal - 1);
    return bits;
}

/* What the call returned, its errno if that is an error, and what is shown of the signal from then on. */
static void show(const char *call, const char *returned) {
    struct sigaction now;
    sigset_t mask;
    int error = errno;
    CHECK(sigaction(SIGUSR2, NULL, &now) == 0 && sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    printf("%s: %s, errno %d; %s, flags %#x, mask %#lx, blocked %d\n", call, returned, error, name_of(now.sa_handler),
           (unsigned)now.sa_flags, bits(&now.sa_mask), sigismember(&mask, SIGUSR2));
    errno = 0;
}

static void show_number(const char *call, long returned) {
    char text[32];
    snprintf(text, sizeof text, "%ld", returned);
    show(call, text);
}

#define DISPOSITION(call) show(#call, name_of(call))
#define NUMBER(call) show_number(#call, call)

static int act(int flags, int all) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    if (all) sigfillset(&action.sa_mask);
    return sigaction(SIGUSR2, &action, NULL);
}

static void dispositions(void) {
    NUMBER(sigaction(SIGUSR2, NULL, NULL));
    DISPOSITION(signal(SIGUSR2, SIG_ERR));
    DISPOSITION(signal(SIGUSR2, handler));
    DISPOSITION(signal(SIGUSR2, SIG_ERR));
    NUMBER(siginterrupt(SIGUSR2, 1));
    DISPOSITION(signal(SIGUSR2, handler));
    NUMBER(siginterrupt(SIGUSR2, 0));
    DISPOSITION(ssignal(SIGUSR2, SIG_IGN));
    DISPOSITION(sysv_signal(SIGUSR2, handler));
    DISPOSITION(sysv_signal(SIGUSR2, SIG_ERR));
    NUMBER(siginterrupt(SIGUSR2, 0));
    NUMBER(act(SA_SIGINFO | SA_ONSTACK | SA_NOCLDWAIT, 1));
    NUMBER(act(0x7ffff7ff, 0));
    NUMBER(siginterrupt(SIGUSR2, 1));
    DISPOSITION(sigset(SIGUSR2, SIG_HOLD));
    DISPOSITION(sigset(SIGUSR2, SIG_HOLD));
    DISPOSITION(sigset(SIGUSR2, handler));
    DISPOSITION(sigset(SIGUSR2, SIG_DFL));
    DISPOSITION(sigset(SIGUSR2, SIG_ERR));
    DISPOSITION(signal(SIGUSR2, SIG_DFL));
    NUMBER(sigignore(SIGUSR2));
    NUMBER(sighold(SIGUSR2));
    NUMBER(sigrelse(SIGUSR2));
    NUMBER(sigprocmask(77, NULL, NULL));
    NUMBER(sigblock(USR2 | HUP));
    NUMBER(siggetmask());
    NUMBER(sigsetmask(HUP));
    NUMBER(sigsetmask(0));
}

static void bad_masks(void) {
    sigset_t all;
    sigfillset(&all);
    NUMBER(sigprocmask(77, &all, NULL));
    NUMBER(pthread_sigmask(77, &all, NULL));
}

static void *show_mask(void *argument) {
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    printf("thread %s: mask %#lx\n", (const char *)argument, bits(&mask));
    return NULL;
}

static void run(const pthread_attr_t *attributes, const char *name) {
    pthread_t thread;
    CHECK(pthread_create(&thread, attributes, show_mask, (void *)name) == 0 && pthread_join(thread, NULL) == 0);
}

static void masks_of_threads(void) {
    pthread_attr_t attributes;
    sigset_t mask, shown;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    CHECK(pthread_attr_init(&attributes) == 0);
    run(&attributes, "without a mask");
    NUMBER(pthread_attr_getsigmask_np(&attributes, &shown));
    NUMBER(pthread_attr_setsigmask_np(&attributes, &mask));
    NUMBER(pthread_attr_getsigmask_np(&attributes, &shown));
    printf("its mask: %#lx\n", bits(&shown));
    run(&attributes, "with the signal");
    CHECK(pthread_sigmask(SIG_BLOCK, &mask, NULL) == 0);
    run(NULL, "as its creator");
    sigdelset(&mask, SIGUSR2);
    sigaddset(&mask, SIGTERM);
    NUMBER(pthread_attr_setsigmask_np(&attributes, &mask));
    run(&attributes, "with another signal");
    NUMBER(pthread_attr_setsigmask_np(&attributes, NULL));
    run(&attributes, "as its creator again");
    CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0);
    sigemptyset(&mask);
    CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0 && pthread_attr_destroy(&attributes) == 0);
}

static void stack(int flags, size_t size) {
    static char memory[1 << 16];
    stack_t new = {.ss_sp = memory, .ss_size = size, .ss_flags = flags}, old = {.ss_flags = 77}, now;
    int error = 0, result = sigaltstack(&new, &old);
    if (result) error = errno;
    CHECK(sigaltstack(NULL, &now) == 0);
    printf("stack %#x of %zu: %d, errno %d; was %d %#x of %zu; is %d %#x of %zu\n", (unsigned)flags, size, result, error,
           old.ss_sp == memory, (unsigned)old.ss_flags, old.ss_size, now.ss_sp == memory, (unsigned)now.ss_flags, now.ss_size);
}

static void signal_stacks(void) {
    static const size_t sizes[] = {0, 100, 2048, 4096, 1 << 16};
    enum { AUTODISARM = (int)(1u << 31) };
    static const int flags[] = {0,   SS_ONSTACK, SS_DISABLE, SS_DISABLE | SS_ONSTACK, 4, 4 | SS_DISABLE, AUTODISARM, AUTODISARM | SS_ONSTACK,
                                AUTODISARM | SS_DISABLE, AUTODISARM | 3};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) stack(flags[i], sizes[j]);
    stack(SS_DISABLE, 0);
}

static void show_all(void) {
    errno = 0;
    dispositions();
    bad_masks();
    masks_of_threads();
    signal_stacks();
    CHECK(signal(SIGUSR2, SIG_DFL) != SIG_ERR && siginterrupt(SIGUSR2, 0) == 0 && signal(SIGUSR2, SIG_DFL) == SIG_DFL);
    CHECK(fflush(stdout) == 0);
}

int main(void) {
    show_all();
    wait_until_alone();
    ready_and_wait();
    show_all();
    return SURVIVED;
}
