/* A coroutine on a stack of 3,000 bytes, too small for a signal frame with AVX-512. */
//# ldflags: -Wl,-z,now
#include "survive.h"
#include <ucontext.h>

static ucontext_t main_context, coroutine;
static char memory[PAGE + 3000] __attribute__((aligned(16)));

int main(void) {
    fill(memory, PAGE, 27);
    CHECK(getcontext(&coroutine) == 0);
    coroutine.uc_stack.ss_sp = memory + PAGE;
    coroutine.uc_stack.ss_size = 3000;
    coroutine.uc_link = &main_context;
    makecontext(&coroutine, ready_and_wait, 0);
    CHECK(swapcontext(&main_context, &coroutine) == 0);
    CHECK(is_filled(memory, PAGE, 27));
    return SURVIVED;
}
