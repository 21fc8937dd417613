/* A request, and a signal of the program's own, on an alternate signal stack of the size that used to do. */
#include "survive.h"
#include <signal.h>

enum { SIZE = 8192 };

static volatile sig_atomic_t count;

static void on_signal(int signal) {
    (void)signal;
    count++;
}

int main(void) {
    char *guard = map(4 * PAGE + SIZE, PROT_READ | PROT_WRITE);
    stack_t stack = {.ss_sp = guard + 4 * PAGE, .ss_size = SIZE};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    fill(guard, 4 * PAGE, 26);
    CHECK(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    CHECK(raise(SIGUSR2) == 0 && count == 1);
    ready_and_wait();
    CHECK(count == 1 && raise(SIGUSR2) == 0 && count == 2 && is_filled(guard, 4 * PAGE, 26));
    return SURVIVED;
}
