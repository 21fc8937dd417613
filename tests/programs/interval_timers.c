/* Interval timers: time left and interval. */
#include "survive.h"
#include <sys/time.h>

int main(void) {
    static const int timers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    struct itimerval now;
    for (int i = 0; i < 3; i++) {
        struct itimerval set = {.it_interval = {1000 + i, 500000}, .it_value = {3600, 0}};
        CHECK(setitimer(timers[i], &set, NULL) == 0);
    }
    ready_and_wait();
    for (int i = 0; i < 3; i++) {
        CHECK(getitimer(timers[i], &now) == 0);
        CHECK(now.it_interval.tv_sec == 1000 + i && now.it_interval.tv_usec / 100000 == 5);
        CHECK(now.it_value.tv_sec > 3000 && now.it_value.tv_sec <= 3600);
    }
    return SURVIVED;
}
