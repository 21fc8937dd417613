/* Threads with alternate signal stacks of all sizes, each above a page that nobody may touch. Their handlers run there, if there is room. */
//# cflags: -pthread
//# ldflags: -Wl,-z,now
#include "thread.h"

enum { SMALLEST = 2048, STEP = 512, STACKS = 48 };

static _Atomic int ready;
static __thread volatile sig_atomic_t on_stack;
static __thread char *base;
static __thread size_t size;

/* Or on a larger one, if there is little room. */
static int is_on_it(const void *local) {
    int fits = size >= (size_t)sysconf(_SC_MINSIGSTKSZ) + room_for_handlers();
    return !fits || ((const char *)local > base && (const char *)local < base + size);
}

/* It comes while the other handler runs there. */
static void on_second_signal(int signal) {
    volatile char local = (char)signal;
    CHECK(is_on_it((const void *)&local));
    on_stack++;
}

static void on_signal(int signal) {
    stack_t stack;
    (void)signal;
    CHECK(is_on_it(&stack));
    CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_sp == base && stack.ss_size == size && stack.ss_flags == SS_ONSTACK);
    stack.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&stack, NULL) == -1 && errno == EPERM);
    on_stack++;
    if (size >= 2 * (size_t)sysconf(_SC_MINSIGSTKSZ) + PAGE) CHECK(raise(SIGHUP) == 0 && on_stack == 2);
}

static void *with_stack(void *number) {
    size = SMALLEST + STEP * (size_t)number;
    char *memory = mmap(NULL, PAGE + STACKS * STEP + SMALLEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && mprotect(memory, PAGE, PROT_NONE) == 0);
    base = memory + PAGE;
    CHECK(sigaltstack(&(stack_t){.ss_sp = base, .ss_size = size}, NULL) == 0);
    ready++;
    while (!is_released()) usleep(1000);
    /* Who has set up a stack that no frame fits on gets no signals there. */
    if (size >= (size_t)sysconf(_SC_MINSIGSTKSZ)) CHECK(raise(SIGUSR1) == 0 && on_stack);
    stack_t stack;
    CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_sp == base && stack.ss_size == size && stack.ss_flags == 0);
    return NULL;
}

int main(void) {
    struct thread threads[STACKS];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    action.sa_handler = on_second_signal;
    CHECK(sigaction(SIGHUP, &action, NULL) == 0);
    for (size_t i = 0; i < STACKS; i++) start(&threads[i], with_stack, (void *)i);
    while (ready < STACKS) sched_yield();
    ready_and_wait();
    for (int i = 0; i < STACKS; i++) finish(&threads[i]);
    return SURVIVED;
}
