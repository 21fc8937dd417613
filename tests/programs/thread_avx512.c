/* The AVX-512 registers of each thread: zmm16 to zmm31, the upper half of zmm0, and the masks. */
//# needs: avx512bw
//# cflags: -pthread -mavx512bw
#include "thread.h"

enum { THREADS = 3, SIZE = 64, COUNT = 17 };

#define LOAD(n, m) "vmovdqu64 " #m "*64(%[before]), %%zmm" #n "\n"
#define STORE(n, m) "vmovdqu64 %%zmm" #n ", " #m "*64(%[after])\n"
#define ALL(DO) \
    DO(0, 16) DO(16, 0) DO(17, 1) DO(18, 2) DO(19, 3) DO(20, 4) DO(21, 5) DO(22, 6) DO(23, 7) DO(24, 8) DO(25, 9) \
    DO(26, 10) DO(27, 11) DO(28, 12) DO(29, 13) DO(30, 14) DO(31, 15)
#define LOAD_MASK(n) "kmovq " #n "*8(%[masks_before]), %%k" #n "\n"
#define STORE_MASK(n) "kmovq %%k" #n ", " #n "*8(%[masks_after])\n"
#define ALL_MASKS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

static volatile uint64_t word;
static int ready;

static void *spin(void *argument) {
    char before[SIZE * COUNT], after[SIZE * COUNT];
    uint64_t masks_before[8], masks_after[8];
    fill(before, sizeof before, (uintptr_t)argument);
    fill(masks_before, sizeof masks_before, (uintptr_t)argument + 1);
    count_up(&ready);
    __asm__ volatile(ALL(LOAD) ALL_MASKS(LOAD_MASK) "1: mov (%[word]), %%rcx; jrcxz 1b\n" ALL(STORE)
                         ALL_MASKS(STORE_MASK)
                     :
                     : [word] "r"(&word), [before] "r"(before), [after] "r"(after),
                       [masks_before] "r"(masks_before), [masks_after] "r"(masks_after)
                     : "rcx", "memory", "xmm0", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",
                       "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4",
                       "k5", "k6", "k7");
    CHECK(memcmp(before, after, sizeof before) == 0);
    CHECK(memcmp(masks_before, masks_after, sizeof masks_before) == 0);
    return NULL;
}

int main(void) {
    struct thread threads[THREADS];
    for (int i = 0; i < THREADS; i++) start(&threads[i], spin, (void *)(uintptr_t)(70 + 10 * i));
    wait_until_counted(&ready, THREADS);
    ready_and_wait();
    word = 1;
    for (int i = 0; i < THREADS; i++) finish(&threads[i]);
    return SURVIVED;
}
