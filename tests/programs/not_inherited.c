/* The same as `refused_not_inherited`, in a program that stands still for its checkpoint. */
//# env: CKPT_MODE=stop
#include "survive.h"
#include <sys/syscall.h>

int main(void) {
    char *empty = map(PAGE, PROT_READ | PROT_WRITE);
    char *absent = map(PAGE, PROT_READ | PROT_WRITE);
    fill(empty, PAGE, 1);
    fill(absent, PAGE, 2);
    CHECK(syscall(SYS_madvise, empty, PAGE, MADV_WIPEONFORK) == 0);
    CHECK(syscall(SYS_madvise, absent, PAGE, MADV_DONTFORK) == 0);
    ready_and_wait();
    CHECK(is_filled(empty, PAGE, 1) && is_filled(absent, PAGE, 2));
    return SURVIVED;
}
