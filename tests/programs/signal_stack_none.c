/* A program without an alternate signal stack sees none, before and after. */
#include "survive.h"
#include <signal.h>

static void check_that_there_is_none(void) {
    stack_t stack;
    CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_DISABLE && stack.ss_size == 0);
}

int main(void) {
    check_that_there_is_none();
    ready_and_wait();
    check_that_there_is_none();
    return SURVIVED;
}
