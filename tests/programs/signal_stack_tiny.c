/* An alternate signal stack on which no signal frame fits: legal, and harmless as long as nothing uses it. */
#include "survive.h"
#include <signal.h>

/* What MINSIGSTKSZ was before it depended on the processor. */
enum { TINY = 2048 };

int main(void) {
    static char memory[TINY];
    stack_t stack = {.ss_sp = memory, .ss_size = TINY}, seen;
    CHECK(sigaltstack(&stack, &seen) == 0 && seen.ss_flags == SS_DISABLE);
    CHECK(sigaltstack(NULL, &seen) == 0 && seen.ss_sp == memory && seen.ss_size == TINY && seen.ss_flags == 0);
    ready_and_wait();
    CHECK(sigaltstack(NULL, &seen) == 0 && seen.ss_sp == memory && seen.ss_size == TINY && seen.ss_flags == 0);
    stack.ss_size = TINY - 1;
    CHECK(sigaltstack(&stack, NULL) == -1 && errno == ENOMEM);
    stack.ss_flags = SS_DISABLE;
    CHECK(sigaltstack(&stack, &seen) == 0 && seen.ss_sp == memory);
    CHECK(sigaltstack(NULL, &seen) == 0 && seen.ss_flags == SS_DISABLE);
    return SURVIVED;
}
