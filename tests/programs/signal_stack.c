/* An alternate signal stack that is installed. */
#include "survive.h"
#include <signal.h>

static char *stack;
static volatile sig_atomic_t was_on_it;

static void on_signal(int signal) {
    char here;
    (void)signal;
    was_on_it = &here >= stack && &here < stack + 65536;
}

int main(void) {
    stack = malloc(65536);
    stack_t before = {.ss_sp = stack, .ss_size = 65536}, after;
    CHECK(sigaltstack(&before, NULL) == 0);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    ready_and_wait();
    CHECK(sigaltstack(NULL, &after) == 0);
    CHECK(after.ss_sp == stack && after.ss_size == 65536 && after.ss_flags == 0);
    CHECK(raise(SIGUSR1) == 0 && was_on_it);
    return SURVIVED;
}
