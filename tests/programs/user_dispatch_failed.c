/* Asking for one's own dispatch of system calls in vain changes nothing. */
#include "survive.h"
#include <sys/prctl.h>
#include <sys/syscall.h>

int main(void) {
    CHECK(prctl(PR_SET_SYSCALL_USER_DISPATCH, 77, 0, 0, 0) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 1, 0, 0) == -1 && errno == EINVAL);
    CHECK(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) == 0);
    ready_and_wait();
    return SURVIVED;
}
