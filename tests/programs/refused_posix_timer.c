/* A POSIX timer on the CPU time of another process. */
//# refused: CPU time of another process
#include "survive.h"
#include <signal.h>
#include <time.h>

int main(void) {
    timer_t timer;
    clockid_t clock;
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    CHECK(clock_getcpuclockid(getppid(), &clock) == 0 && timer_create(clock, &event, &timer) == 0);
    ready_and_wait();
    CHECK(timer_delete(timer) == 0);
    return SURVIVED;
}
