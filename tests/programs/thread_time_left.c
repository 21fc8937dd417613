/* Waits through libc go on with the time that was left, rather than from the beginning. */
//# cflags: -pthread
#include "thread.h"
#include <poll.h>
#include <sys/select.h>

/* Seconds: of the whole wait, of the part before the first checkpoint, and by which a thread may be late. */
static const double WHOLE = 3, FIRST = 1.5, LATE = 1;

/* What the clock shows while the process exists and runs, in microseconds: counted by the main thread in small steps. */
static int64_t lived;

static void live_on(void) {
    static double before;
    double time = now(), step = before ? time - before : 0;
    before = time;
    __atomic_add_fetch(&lived, (int64_t)((step < 0.02 ? step : 0.02) * 1e6), __ATOMIC_SEQ_CST);
}

static int in_sleep(void) { return sleep((unsigned)WHOLE) == 0; }

static int in_usleep(void) { return usleep((useconds_t)(WHOLE * 1e6)) == 0; }

static int in_nanosleep(void) {
    const struct timespec time = time_of(WHOLE);
    return nanosleep(&time, NULL) == 0;
}

static int in_nanosleep_with_rest(void) {
    struct timespec time = time_of(WHOLE), rest;
    return nanosleep(&time, &rest) == 0;
}

static int in_clock_nanosleep(void) {
    const struct timespec time = time_of(WHOLE);
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL) == 0;
}

static int in_poll(void) { return poll(NULL, 0, (int)(WHOLE * 1000)) == 0; }

static int in_ppoll(void) {
    const struct timespec time = time_of(WHOLE);
    return ppoll(NULL, 0, &time, NULL) == 0;
}

static int in_select(void) {
    struct timeval time = {.tv_sec = (time_t)WHOLE};
    return select(0, NULL, NULL, NULL, &time) == 0;
}

static int in_pselect(void) {
    const struct timespec time = time_of(WHOLE);
    return pselect(0, NULL, NULL, NULL, &time, NULL) == 0;
}

static int in_sigtimedwait(void) {
    const struct timespec time = time_of(WHOLE);
    sigset_t none;
    sigemptyset(&none);
    return sigtimedwait(&none, NULL, &time) == -1 && errno == EAGAIN;
}

static struct call {
    const char *name;
    int (*make)(void);
    struct thread thread;
} calls[] = {
    {.name = "sleep", .make = in_sleep},
    {.name = "usleep", .make = in_usleep},
    {.name = "nanosleep", .make = in_nanosleep},
    {.name = "nanosleep with rest", .make = in_nanosleep_with_rest},
    {.name = "clock_nanosleep", .make = in_clock_nanosleep},
    {.name = "poll", .make = in_poll},
    {.name = "ppoll", .make = in_ppoll},
    {.name = "select", .make = in_select},
    {.name = "pselect", .make = in_pselect},
    {.name = "sigtimedwait", .make = in_sigtimedwait},
};
static int ended;

static void *make_call(void *argument) {
    const struct call *call = argument;
    double begin = now();
    int64_t lived_before = __atomic_load_n(&lived, __ATOMIC_SEQ_CST);
    if (!call->make()) FAIL("%s: wrong result, errno %d", call->name, errno);
    double waited = now() - begin;
    double alive = (double)(__atomic_load_n(&lived, __ATOMIC_SEQ_CST) - lived_before) / 1e6;
    if (waited < WHOLE) FAIL("%s: back after %f s", call->name, waited);
    if (alive > WHOLE + LATE) FAIL("%s: waited for %f s of the program's life", call->name, alive);
    count_up(&ended);
    return NULL;
}

int main(void) {
    live_on();
    for (int i = 0; i < LENGTH(calls); i++) start(&calls[i].thread, make_call, &calls[i]);
    /* Not to synchronise: this is the part of the wait that must not come again. */
    for (double begin = now(); now() < begin + FIRST; sched_yield()) live_on();
    say_ready();
    while (!is_released()) live_on();
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) < LENGTH(calls)) live_on();
    for (int i = 0; i < LENGTH(calls); i++) finish(&calls[i].thread);
    return SURVIVED;
}
