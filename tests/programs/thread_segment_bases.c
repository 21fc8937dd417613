/* The bases of FS (the thread pointer) and GS of each thread. */
//# cflags: -pthread
#include "thread.h"
#include <asm/prctl.h>

enum { COUNT = 3 };

static uint64_t targets[COUNT] = {11, 22, 33};
static int ready;

static void *with_bases(void *target) {
    uint64_t fs_before, fs, gs, through_gs;
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, target) == 0);
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_before) == 0);
    count_up(&ready);
    wait_at_gate();
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 && fs == fs_before && fs == pthread_self());
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == (uintptr_t)target);
    __asm__("mov %%gs:0, %0" : "=r"(through_gs));
    CHECK(through_gs == *(uint64_t *)target);
    return NULL;
}

int main(void) {
    struct thread threads[COUNT];
    for (int i = 0; i < COUNT; i++) start(&threads[i], with_bases, &targets[i]);
    wait_until_counted(&ready, COUNT);
    ready_and_wait();
    open_gate();
    for (int i = 0; i < COUNT; i++) finish(&threads[i]);
    return SURVIVED;
}
