/* AVX registers, MXCSR and x87 control word of each thread. */
//# needs: avx
//# cflags: -pthread -mavx
#include "thread.h"

enum { THREADS = 3, SIZE = 32, COUNT = 16 };

#define LOAD(n) "vmovups " #n "*32(%[before]), %%ymm" #n "\n"
#define STORE(n) "vmovups %%ymm" #n ", " #n "*32(%[after])\n"
#define ALL(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

/* Rounding of SSE and of x87 in each thread, and no exceptions. */
static const uint32_t mxcsr[THREADS] = {0x1f80, 0x3f80, 0x5f80};
static const uint16_t control[THREADS] = {0x037f, 0x077f, 0x0b7f};

static volatile uint64_t word;
static int ready;

static void *spin(void *argument) {
    int index = (int)(intptr_t)argument;
    char before[SIZE * COUNT], after[SIZE * COUNT];
    uint32_t mxcsr_after;
    uint16_t control_after;
    fill(before, sizeof before, 60 + index);
    count_up(&ready);
    __asm__ volatile("ldmxcsr %[mxcsr]; fldcw %[control]\n" ALL(LOAD) "1: mov (%[word]), %%rcx; jrcxz 1b\n" ALL(STORE)
                     "stmxcsr %[mxcsr_after]; fnstcw %[control_after]\n"
                     : [mxcsr_after] "=m"(mxcsr_after), [control_after] "=m"(control_after)
                     : [word] "r"(&word), [before] "r"(before), [after] "r"(after), [mxcsr] "m"(mxcsr[index]),
                       [control] "m"(control[index])
                     : "rcx", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    CHECK(memcmp(before, after, sizeof before) == 0);
    CHECK(mxcsr_after == mxcsr[index] && control_after == control[index]);
    return NULL;
}

int main(void) {
    struct thread threads[THREADS];
    for (int i = 0; i < THREADS; i++) start(&threads[i], spin, (void *)(intptr_t)i);
    wait_until_counted(&ready, THREADS);
    ready_and_wait();
    word = 1;
    for (int i = 0; i < THREADS; i++) finish(&threads[i]);
    return SURVIVED;
}
