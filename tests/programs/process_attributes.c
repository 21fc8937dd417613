/* Attributes of the process: timer slack, dumpability, what is sent at the parent's death, nice value. */
#include "survive.h"
#include <signal.h>
#include <sys/prctl.h>

int main(void) {
    int signal = 0;
    CHECK(prctl(PR_SET_TIMERSLACK, 123456) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGWINCH) == 0);
    ready_and_wait();
    CHECK(prctl(PR_GET_TIMERSLACK) == 123456);
    CHECK(prctl(PR_GET_DUMPABLE) == 0);
    CHECK(prctl(PR_GET_PDEATHSIG, &signal) == 0 && signal == SIGWINCH);
    return SURVIVED;
}
