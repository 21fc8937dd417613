/* The signal mask of each thread, also one that blocks every signal: by libc, by a system call, sleeping and spinning. */
//# cflags: -pthread
#include "thread.h"

struct way {
    uint64_t mask;
    int through_libc, spins;
    struct thread thread;
};

static struct way ways[] = {
    {.mask = 0, .through_libc = 1},
    {.mask = 1ull << (SIGUSR1 - 1) | 1ull << (40 - 1), .through_libc = 1},
    {.mask = ~0ull, .through_libc = 1},
    {.mask = ~0ull, .through_libc = 1, .spins = 1},
    {.mask = ~0ull},
    {.mask = ~0ull, .spins = 1},
    {.mask = 1ull << (SIGUSR2 - 1)},
};
static int ready, go;

static void *with_mask(void *argument) {
    const struct way *way = argument;
    sigset_t set, seen;
    if (way->through_libc) {
        sigemptyset(&set);
        memcpy(&set, &way->mask, sizeof way->mask);
        CHECK(pthread_sigmask(SIG_SETMASK, &set, NULL) == 0);
    } else {
        set_kernel_mask(way->mask);
    }
    uint64_t before = kernel_mask();
    count_up(&ready);
    if (way->spins)
        while (!*(volatile int *)&go) continue;
    else
        wait_at_gate();
    CHECK(kernel_mask() == before);
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &seen) == 0);
    for (int signal = 1; signal < 32; signal++) {
        int blocked = (way->mask >> (signal - 1) & 1) && signal != SIGKILL && signal != SIGSTOP;
        if (way->through_libc || signal != SIGUSR2) CHECK(sigismember(&seen, signal) == blocked);
    }
    return NULL;
}

int main(void) {
    for (int i = 0; i < LENGTH(ways); i++) start(&ways[i].thread, with_mask, &ways[i]);
    wait_until_counted(&ready, LENGTH(ways));
    for (int i = 0; i < LENGTH(ways); i++)
        if (!ways[i].spins) wait_until_in(&ways[i].thread, SYS_futex);
    ready_and_wait();
    set(&go);
    open_gate();
    for (int i = 0; i < LENGTH(ways); i++) finish(&ways[i].thread);
    return SURVIVED;
}
