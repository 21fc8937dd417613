/* An alternate signal stack with a handler on it at the time of the checkpoint. */
#include "survive.h"
#include <signal.h>

static volatile sig_atomic_t done;

static void on_signal(int signal) {
    stack_t stack;
    (void)signal;
    CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_ONSTACK);
    ready_and_wait();
    CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_ONSTACK);
    done = 1;
}

int main(void) {
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536}, after;
    CHECK(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(raise(SIGUSR1) == 0 && done);
    CHECK(sigaltstack(NULL, &after) == 0 && after.ss_sp == stack.ss_sp && after.ss_flags == 0);
    return SURVIVED;
}
