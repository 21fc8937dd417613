/* A program that ignores SIGUSR2 is checkpointed nevertheless. */
#include "survive.h"
#include <signal.h>

int main(void) {
    CHECK(signal(SIGUSR2, SIG_IGN) == SIG_DFL);
    ready_and_wait();
    CHECK(signal(SIGUSR2, SIG_DFL) == SIG_IGN);
    return SURVIVED;
}
