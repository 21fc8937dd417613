/* An alternate signal stack that holds little more than one signal frame. */
#include "survive.h"
#include <signal.h>

static char *guard;

static volatile sig_atomic_t caught;

static void on_signal(int signal) { caught = signal; }

int main(void) {
    size_t size = (size_t)sysconf(_SC_MINSIGSTKSZ) + 1024;
    char *memory = malloc(PAGE + size);
    guard = memory;
    fill(guard, PAGE, 26);
    stack_t stack = {.ss_sp = memory + PAGE, .ss_size = size};
    CHECK(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    ready_and_wait();
    CHECK(is_filled(guard, PAGE, 26));
    CHECK(raise(SIGUSR1) == 0 && caught && is_filled(guard, PAGE, 26));
    return SURVIVED;
}
