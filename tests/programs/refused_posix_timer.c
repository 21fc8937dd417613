/* A POSIX timer. */
//# refused: timer
#include "survive.h"
#include <signal.h>
#include <time.h>

int main(void) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    ready_and_wait();
    CHECK(timer_delete(timer) == 0);
    return SURVIVED;
}
