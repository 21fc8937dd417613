/* Alternate signal stacks with handlers on them at the time of the checkpoint: one with room for more, and one of the size that was customary, where that is enough. */
//# cflags: -pthread
#include "thread.h"

enum { LARGE = 64 << 10, CUSTOMARY = 8 << 10 };

static _Atomic int in_handler;

static void on_signal(int signal) {
    stack_t stack;
    (void)signal;
    CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_ONSTACK);
    in_handler++;
    if (stack.ss_size == LARGE) {
        while (in_handler < 2) sched_yield();
        ready_and_wait();
    } else {
        while (!is_released()) usleep(1000);
    }
    CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_ONSTACK);
    const char *base = stack.ss_sp, *local = (const char *)&stack;
    if (stack.ss_size >= (size_t)sysconf(_SC_MINSIGSTKSZ) + room_for_handlers()) CHECK(local > base && local < base + stack.ss_size);
    in_handler--;
}

static void *run_on(void *size) {
    stack_t stack = {.ss_sp = malloc((size_t)size), .ss_size = (size_t)size}, after;
    CHECK(sigaltstack(&stack, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0);
    CHECK(sigaltstack(NULL, &after) == 0 && after.ss_sp == stack.ss_sp && after.ss_flags == 0);
    return NULL;
}

int main(void) {
    struct thread thread;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    start(&thread, run_on, (void *)CUSTOMARY);
    run_on((void *)LARGE);
    finish(&thread);
    CHECK(in_handler == 0);
    return SURVIVED;
}
