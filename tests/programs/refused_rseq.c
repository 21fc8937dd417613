/* An rseq area of the program's own, in the place of libc's. */
//# env: GLIBC_TUNABLES=glibc.pthread.rseq=0
//# refused: has an rseq area that is not libc's
#include "survive.h"
#include <linux/rseq.h>
#include <sys/syscall.h>

enum { SIGNATURE = 0x53053053 };

int main(void) {
    static struct rseq area __attribute__((aligned(32)));
    CHECK(syscall(SYS_rseq, &area, sizeof area, 0, SIGNATURE) == 0);
    ready_and_wait();
    CHECK(area.cpu_id < 1 << 20);
    CHECK(syscall(SYS_rseq, &area, sizeof area, 1 /* unregister */, SIGNATURE) == 0);
    return SURVIVED;
}
