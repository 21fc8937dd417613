/* The bases of FS (the thread pointer) and GS. */
#include "survive.h"
#include <asm/prctl.h>
#include <sys/syscall.h>

int main(void) {
    static uint64_t target = 0x1234567890abcdef;
    uint64_t fs_before, fs, gs, through_gs;
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, &target) == 0);
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_before) == 0);
    ready_and_wait();
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 && fs == fs_before);
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == (uint64_t)&target);
    __asm__("mov %%gs:0, %0" : "=r"(through_gs));
    CHECK(through_gs == target);
    return SURVIVED;
}
