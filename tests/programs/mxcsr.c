/* MXCSR: rounding mode, flush to zero, denormals are zero, exception flags. */
#include "survive.h"
#include <fenv.h>
//# ldflags: -lm

int main(void) {
    unsigned before = 0x1f80 | 0x8000 | 0x6000 | 0x0040 | 0x0001, after;
    volatile float one = 1, three = 3;
    __asm__ volatile("ldmxcsr %0" ::"m"(before));
    float third = one / three;
    __asm__ volatile("stmxcsr %0" : "=m"(before)); /* now with the flag "inexact" */
    ready_and_wait();
    __asm__ volatile("stmxcsr %0" : "=m"(after));
    CHECK(after == before);
    CHECK(one / three == third);
    fesetround(FE_UPWARD);
    CHECK(one / three > third);
    return SURVIVED;
}
