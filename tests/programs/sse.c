/* The SSE registers. */
#include "survive.h"

enum { SIZE = 16, COUNT = 16 };

#define LOAD(n) "movups " #n "*16(%[before]), %%xmm" #n "\n"
#define STORE(n) "movups %%xmm" #n ", " #n "*16(%[after])\n"
#define ALL(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

int main(void) {
    static char before[SIZE * COUNT], after[SIZE * COUNT];
    fill(before, sizeof before, 3);
    volatile uint64_t *word = release_word();
    say_ready();
    __asm__ volatile(ALL(LOAD) "1: mov (%[word]), %%rcx; jrcxz 1b\n" ALL(STORE)
                     :
                     : [word] "r"(word), [before] "r"(before), [after] "r"(after)
                     : "rcx", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    CHECK(memcmp(before, after, sizeof before) == 0);
    return SURVIVED;
}
