/* Has the kernel dispatch its system calls to itself, and makes them possible only now and then. With `syscall`, libc's function of that
 * name sets it up. */
#include "../programs/survive.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { ALLOW, BLOCK };

static volatile char selector = ALLOW;

static void on_dispatch(int signal) {
    (void)signal;
    selector = ALLOW;
    FAIL("a system call that the program has not made");
}

/* Long enough for signals to come in it. */
static void without_calls(void) {
    selector = BLOCK;
    for (volatile int i = 0; i < 1 << 20; i++) continue;
    selector = ALLOW;
}

int main(int count, char **arguments) {
    CHECK(signal(SIGSYS, on_dispatch) == SIG_DFL);
    if (count == 2 && strcmp(arguments[1], "syscall") == 0)
        CHECK(syscall(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) == 0);
    else
        CHECK(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) == 0);
    say_ready();
    while (!is_released()) without_calls();
    CHECK(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) == 0);
    return SURVIVED;
}
