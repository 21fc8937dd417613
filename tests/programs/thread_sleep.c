/* Threads that sleep: sleep, usleep, nanosleep, clock_nanosleep, thrd_sleep. None wakes up early. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <threads.h>

static int in_sleep(double timeout) { return sleep((unsigned)timeout) == 0; }

static int in_usleep(double timeout) { return usleep((useconds_t)(timeout * 1e6)) == 0; }

static int in_nanosleep(double timeout) {
    const struct timespec time = time_of(timeout);
    return nanosleep(&time, NULL) == 0;
}

/* What is left is not written unless a signal ends the call, nor is the time that was asked for changed. */
static int in_nanosleep_with_rest(double timeout) {
    struct timespec time = time_of(timeout), rest = {12, 34};
    return nanosleep(&time, &rest) == 0 && time.tv_sec == TIMEOUT && time.tv_nsec == 0;
}

static int in_nanosleep_in_place(double timeout) {
    struct timespec time = time_of(timeout);
    return nanosleep(&time, &time) == 0;
}

static int in_clock_nanosleep(double timeout) {
    const struct timespec time = time_of(timeout);
    return clock_nanosleep(CLOCK_REALTIME, 0, &time, NULL) == 0;
}

static int in_clock_nanosleep_until(double timeout) {
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    time.tv_sec += (time_t)timeout;
    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == 0;
}

static int in_thrd_sleep(double timeout) {
    const struct timespec time = time_of(timeout);
    return thrd_sleep(&time, NULL) == 0;
}

int main(void) {
    static struct timed_call calls[] = {
        {.name = "sleep", .number = SYS_clock_nanosleep, .make = in_sleep},
        {.name = "usleep", .number = SYS_clock_nanosleep, .make = in_usleep},
        {.name = "nanosleep", .number = SYS_clock_nanosleep, .make = in_nanosleep},
        {.name = "nanosleep with rest", .number = SYS_clock_nanosleep, .make = in_nanosleep_with_rest},
        {.name = "nanosleep in place", .number = SYS_clock_nanosleep, .make = in_nanosleep_in_place},
        {.name = "clock_nanosleep", .number = SYS_clock_nanosleep, .make = in_clock_nanosleep},
        {.name = "clock_nanosleep until", .number = SYS_clock_nanosleep, .make = in_clock_nanosleep_until},
        {.name = "thrd_sleep", .number = SYS_clock_nanosleep, .make = in_thrd_sleep},
    };
    check_timed_calls(calls, LENGTH(calls));
    return SURVIVED;
}
