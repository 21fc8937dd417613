/* Calls with a signal mask for their duration: it holds until they end, and then the one from before holds again. */
//# cflags: -pthread
#include "thread.h"
#include <poll.h>
#include <sys/select.h>

static const uint64_t everything = ~0ull, usr1 = 1ull << (SIGUSR1 - 1), never = 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1);

static __thread uint64_t caught_under;

static void on_signal(int signal) {
    (void)signal;
    caught_under = kernel_mask();
}

static long raw_ppoll(const uint64_t *mask) { return syscall(SYS_ppoll, NULL, 0, NULL, mask, sizeof *mask); }

static long raw_sigsuspend(const uint64_t *mask) { return syscall(SYS_rt_sigsuspend, mask, sizeof *mask); }

static long raw_pselect(const uint64_t *mask) {
    struct {
        const uint64_t *mask;
        size_t size;
    } with_size = {mask, sizeof *mask};
    return syscall(SYS_pselect6, 0, NULL, NULL, NULL, NULL, &with_size);
}

static sigset_t of(uint64_t mask) {
    sigset_t set;
    sigemptyset(&set);
    memcpy(&set, &mask, sizeof mask);
    return set;
}

static long libc_ppoll(const uint64_t *mask) {
    sigset_t set = of(*mask);
    return ppoll(NULL, 0, NULL, &set);
}

static long libc_pselect(const uint64_t *mask) {
    sigset_t set = of(*mask);
    return pselect(0, NULL, NULL, NULL, NULL, &set);
}

static long libc_sigsuspend(const uint64_t *mask) {
    sigset_t set = of(*mask);
    return sigsuspend(&set);
}

static const struct {
    long number;
    long (*call)(const uint64_t *mask);
} calls[] = {
    {SYS_ppoll, raw_ppoll},   {SYS_rt_sigsuspend, raw_sigsuspend},   {SYS_pselect6, raw_pselect},
    {SYS_ppoll, libc_ppoll},  {SYS_rt_sigsuspend, libc_sigsuspend},  {SYS_pselect6, libc_pselect},
};

/* The mask before and after, and the one for the call; libc's is told to the kernel without the checkpoint signal. */
static const struct {
    uint64_t outer, inner;
} masks[] = {{everything, everything & ~usr1}, {everything, 0}, {0, everything & ~usr1}, {usr1, 0}};

struct waiter {
    int call, masks, returned;
    struct thread thread;
};

static void *wait_masked(void *argument) {
    struct waiter *waiter = argument;
    uint64_t outer = masks[waiter->masks].outer, inner = masks[waiter->masks].inner;
    set_kernel_mask(outer);
    CHECK(calls[waiter->call].call(&inner) == -1 && errno == EINTR);
    CHECK(kernel_mask() == (outer & ~never));
    CHECK(caught_under & usr1);
    set(&waiter->returned);
    return NULL;
}

int main(void) {
    static struct waiter waiters[LENGTH(calls) * LENGTH(masks)];
    handle(SIGUSR1, on_signal, 0);
    for (int i = 0; i < LENGTH(waiters); i++) {
        waiters[i].call = i % LENGTH(calls);
        waiters[i].masks = i / LENGTH(calls);
        start(&waiters[i].thread, wait_masked, &waiters[i]);
    }
    for (int i = 0; i < LENGTH(waiters); i++) wait_until_in(&waiters[i].thread, calls[waiters[i].call].number);
    ready_and_wait();
    for (int i = 0; i < LENGTH(waiters); i++) CHECK(!is_set(&waiters[i].returned));
    for (int i = 0; i < LENGTH(waiters); i++) {
        wake(&waiters[i].thread, SIGUSR1, &waiters[i].returned);
        finish(&waiters[i].thread);
    }
    return SURVIVED;
}
