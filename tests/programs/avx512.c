/* The AVX-512 registers zmm0 to zmm31 and the masks k0 to k7. */
//# needs: avx512bw
//# cflags: -mavx512bw
#include "survive.h"

enum { SIZE = 64, COUNT = 32 };

#define LOAD(n) "vmovdqu64 " #n "*64(%[before]), %%zmm" #n "\n"
#define STORE(n) "vmovdqu64 %%zmm" #n ", " #n "*64(%[after])\n"
#define ALL(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15) \
    DO(16) DO(17) DO(18) DO(19) DO(20) DO(21) DO(22) DO(23) DO(24) DO(25) DO(26) DO(27) DO(28) DO(29) DO(30) DO(31)
#define LOAD_MASK(n) "kmovq " #n "*8(%[masks_before]), %%k" #n "\n"
#define STORE_MASK(n) "kmovq %%k" #n ", " #n "*8(%[masks_after])\n"
#define ALL_MASKS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

int main(void) {
    static char before[SIZE * COUNT], after[SIZE * COUNT];
    static uint64_t masks_before[8], masks_after[8];
    fill(before, sizeof before, 4);
    fill(masks_before, sizeof masks_before, 5);
    volatile uint64_t *word = release_word();
    say_ready();
    __asm__ volatile(ALL(LOAD) ALL_MASKS(LOAD_MASK) "1: mov (%[word]), %%rcx; jrcxz 1b\n" ALL(STORE)
                         ALL_MASKS(STORE_MASK)
                     :
                     : [word] "r"(word), [before] "r"(before), [after] "r"(after),
                       [masks_before] "r"(masks_before), [masks_after] "r"(masks_after)
                     : "rcx", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18",
                       "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28",
                       "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7");
    CHECK(memcmp(before, after, sizeof before) == 0);
    CHECK(memcmp(masks_before, masks_after, sizeof masks_before) == 0);
    return SURVIVED;
}
