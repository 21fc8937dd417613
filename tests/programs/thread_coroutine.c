/* Threads on small stacks: a coroutine's of 3,000 bytes, the least that libc permits, and memory of the program's. */
//# cflags: -pthread
//# ldflags: -Wl,-z,now
#include "thread.h"
#include <ucontext.h>

enum { OWN = 256 << 10 };

static ucontext_t thread_context, coroutine;
static char memory[PAGE + 3000] __attribute__((aligned(16)));
static char *own;
static int ready;

static void wait_on_small_stack(void) {
    count_up(&ready);
    /* Without a call that would take more stack. */
    while (!is_set(&gate)) sched_yield();
}

static void *run_coroutine(void *argument) {
    fill(memory, PAGE, 97);
    CHECK(getcontext(&coroutine) == 0);
    coroutine.uc_stack.ss_sp = memory + PAGE;
    coroutine.uc_stack.ss_size = 3000;
    coroutine.uc_link = &thread_context;
    makecontext(&coroutine, wait_on_small_stack, 0);
    CHECK(swapcontext(&thread_context, &coroutine) == 0 && is_filled(memory, PAGE, 97));
    return argument;
}

static void *wait_on_stack(void *argument) {
    count_up(&ready);
    wait_at_gate();
    return argument;
}

static void *wait_on_own_stack(void *argument) {
    char here;
    CHECK(&here > own && &here < own + OWN);
    return wait_on_stack(argument);
}

int main(void) {
    struct thread thread;
    pthread_t least, with_own;
    pthread_attr_t small, given;
    own = map(OWN, PROT_READ | PROT_WRITE);
    fill(own, OWN / 2, 98);
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN) == 0);
    CHECK(pthread_attr_init(&given) == 0 && pthread_attr_setstack(&given, own, OWN) == 0);
    start(&thread, run_coroutine, NULL);
    CHECK(pthread_create(&least, &small, wait_on_stack, NULL) == 0);
    CHECK(pthread_create(&with_own, &given, wait_on_own_stack, NULL) == 0);
    wait_until_counted(&ready, 3);
    ready_and_wait();
    open_gate();
    finish(&thread);
    CHECK(pthread_join(least, NULL) == 0 && pthread_join(with_own, NULL) == 0 && is_filled(own, OWN / 2, 98));
    return SURVIVED;
}
