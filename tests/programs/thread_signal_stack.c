/* Alternate signal stacks of threads: one of its own, one that is in use, a tiny one, none. */
//# cflags: -pthread
#include "thread.h"

enum { SIZE = 64 << 10, TINY = 2048 };

static char own[SIZE], in_use[SIZE], tiny[TINY];
static __thread stack_t expected;
static __thread int caught;
static int ready;

static stack_t seen(void) {
    stack_t stack;
    CHECK(sigaltstack(NULL, &stack) == 0);
    return stack;
}

static void check_stack(int flags) {
    stack_t now = seen();
    CHECK(now.ss_sp == expected.ss_sp && now.ss_size == expected.ss_size && now.ss_flags == flags);
}

static void on_signal(int signal) {
    char here;
    CHECK(&here > (char *)expected.ss_sp && &here < (char *)expected.ss_sp + expected.ss_size);
    check_stack(SS_ONSTACK);
    if (signal == SIGUSR1) {
        count_up(&ready);
        wait_at_gate();
        check_stack(SS_ONSTACK);
    }
    caught++;
}

static void set_stack(char *memory, size_t size) {
    expected = (stack_t){.ss_sp = memory, .ss_size = size};
    CHECK(sigaltstack(&expected, NULL) == 0);
    check_stack(0);
}

static void *with_own(void *argument) {
    set_stack(own, sizeof own);
    count_up(&ready);
    wait_at_gate();
    check_stack(0);
    CHECK(raise(SIGHUP) == 0 && caught == 1);
    return argument;
}

static void *with_one_in_use(void *argument) {
    set_stack(in_use, sizeof in_use);
    CHECK(raise(SIGUSR1) == 0 && caught == 1);
    check_stack(0);
    CHECK(raise(SIGHUP) == 0 && caught == 2);
    return argument;
}

static void *with_tiny(void *argument) {
    set_stack(tiny, sizeof tiny);
    count_up(&ready);
    wait_at_gate();
    check_stack(0);
    return argument;
}

static void *with_none(void *argument) {
    count_up(&ready);
    wait_at_gate();
    stack_t stack = seen();
    CHECK(stack.ss_flags == SS_DISABLE && stack.ss_size == 0);
    set_stack(argument, SIZE);
    CHECK(raise(SIGHUP) == 0 && caught == 1);
    return argument;
}

int main(void) {
    struct thread threads[4];
    void *(*const runs[])(void *) = {with_own, with_one_in_use, with_tiny, with_none};
    handle(SIGUSR1, on_signal, SA_ONSTACK);
    handle(SIGHUP, on_signal, SA_ONSTACK);
    void *memory = malloc(SIZE);
    for (int i = 0; i < 4; i++) start(&threads[i], runs[i], memory);
    wait_until_counted(&ready, 4);
    ready_and_wait();
    open_gate();
    for (int i = 0; i < 4; i++) finish(&threads[i]);
    return SURVIVED;
}
