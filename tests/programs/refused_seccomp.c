/* A seccomp filter of the program's own. */
//# refused: seccomp
#include "survive.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

int main(void) {
    struct sock_filter allow = BPF_STMT(BPF_RET, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {1, &allow};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    ready_and_wait();
    return SURVIVED;
}
