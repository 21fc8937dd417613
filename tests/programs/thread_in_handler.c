/* Threads inside of signal handlers: one in another, and one for a fault that it mends. */
//# cflags: -pthread
#include "thread.h"

static __thread int depth, done;
static char *page;
static int ready;

static int blocks(int signal) { return (int)(kernel_mask() >> (signal - 1) & 1); }

static void on_signal(int signal) {
    int before = ++depth;
    CHECK(blocks(signal));
    if (signal == SIGHUP) {
        CHECK(raise(SIGUSR1) == 0);
    } else {
        count_up(&ready);
        wait_at_gate();
        CHECK(blocks(SIGHUP));
    }
    CHECK(depth == before && blocks(signal));
    depth--;
    done++;
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    CHECK(signal == SIGSEGV && info->si_addr == page + 8);
    count_up(&ready);
    wait_at_gate();
    CHECK(info->si_addr == page + 8 && mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
}

static void *in_two_handlers(void *argument) {
    uint64_t before = kernel_mask();
    CHECK(raise(SIGHUP) == 0 && done == 2 && depth == 0 && kernel_mask() == before);
    return argument;
}

static void *in_a_fault(void *argument) {
    *(volatile uint64_t *)(page + 8) = 4711;
    CHECK(*(uint64_t *)(page + 8) == 4711 && !blocks(SIGSEGV));
    return argument;
}

int main(void) {
    struct thread nested, faulting;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    handle(SIGHUP, on_signal, 0);
    handle(SIGUSR1, on_signal, 0);
    page = map(PAGE, PROT_NONE);
    start(&nested, in_two_handlers, NULL);
    start(&faulting, in_a_fault, NULL);
    wait_until_counted(&ready, 2);
    ready_and_wait();
    open_gate();
    finish(&nested);
    finish(&faulting);
    return SURVIVED;
}
