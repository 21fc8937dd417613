/* POSIX timers of a program with threads: those that tell a function, those that tell one thread, and its CPU time. */
//# ldflags: -pthread
//# memory: changes
#include "survive.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

enum { HOUR = 3600 };

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static _Atomic int told, value_told;
static timer_t of_thread, on_cpu, for_function, often;
static _Atomic int is_over, is_set_up;

static void function(union sigval value) {
    value_told = value.sival_int;
    told++;
}

static void arm(timer_t timer, struct timespec first, struct timespec interval) {
    struct itimerspec setting = {.it_value = first, .it_interval = interval};
    CHECK(timer_settime(timer, 0, &setting, NULL) == 0);
}

static const struct timespec none, hour = {HOUR, 0}, soon = {0, 1000000};

/* Overruns of timers of one thread, with one signal: the thread has received both, and asks how often they had overrun. */
enum { TIMERS = 2, INTERVAL = 300 };
static timer_t overrun[TIMERS];

static void check_overruns(void) {
    for (int index = 0; index < TIMERS; index++) CHECK(timer_getoverrun(overrun[index]) == 3 + index);
}

static void overrun_often(void) {
    sigset_t blocked;
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 2, .sigev_notify_thread_id = (int)syscall(SYS_gettid)};
    CHECK(sigemptyset(&blocked) == 0 && sigaddset(&blocked, SIGRTMIN + 2) == 0);
    CHECK(pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0);
    for (int index = 0; index < TIMERS; index++) {
        struct itimerspec setting = {.it_interval = {INTERVAL, 0}};
        CHECK(timer_create(CLOCK_REALTIME, &event, &overrun[index]) == 0);
        CHECK(clock_gettime(CLOCK_REALTIME, &setting.it_value) == 0);
        setting.it_value.tv_sec -= (3 + index) * INTERVAL + INTERVAL / 2;
        CHECK(timer_settime(overrun[index], TIMER_ABSTIME, &setting, NULL) == 0);
        CHECK(sigwaitinfo(&blocked, NULL) == SIGRTMIN + 2);
    }
    check_overruns();
}

static void *thread(void *unused) {
    (void)unused;
    sigset_t blocked;
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 11,
        .sigev_notify_thread_id = (int)syscall(SYS_gettid)};
    CHECK(sigemptyset(&blocked) == 0 && sigaddset(&blocked, SIGRTMIN + 1) == 0);
    CHECK(pthread_sigmask(SIG_BLOCK, &blocked, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &event, &of_thread) == 0);
    CHECK(timer_create(CLOCK_THREAD_CPUTIME_ID, NULL, &on_cpu) == 0);
    arm(on_cpu, hour, none);
    overrun_often();
    arm(of_thread, soon, none);
    is_set_up = 1;
    siginfo_t info;
    /* The first may have come before the checkpoint, or not; the second is set behind it. */
    CHECK(sigwaitinfo(&blocked, &info) == SIGRTMIN + 1 && info.si_value.sival_int == 11);
    while (!is_over) usleep(1000);
    check_overruns();
    sigset_t pending;
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGRTMIN + 2));
    arm(of_thread, soon, none);
    CHECK(sigwaitinfo(&blocked, &info) == SIGRTMIN + 1 && info.si_code == SI_TIMER && info.si_value.sival_int == 11);
    return NULL;
}

int main(void) {
    pthread_t other;
    struct sigevent event = {
        .sigev_notify = SIGEV_THREAD, .sigev_notify_function = function, .sigev_value.sival_int = 5};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &for_function) == 0);
    event.sigev_value.sival_int = 6;
    CHECK(timer_create(CLOCK_REALTIME, &event, &often) == 0);
    arm(for_function, hour, none);
    arm(often, soon, soon);
    CHECK(pthread_create(&other, NULL, thread, NULL) == 0);
    while (!is_set_up) usleep(1000);
    ready_and_wait();
    int before = told;
    while (told < before + 3) usleep(1000);
    CHECK(value_told == 6);
    arm(often, none, none);
    is_over = 1;
    struct itimerspec now;
    CHECK(timer_gettime(for_function, &now) == 0 && now.it_value.tv_sec > HOUR - 300);
    CHECK(timer_gettime(on_cpu, &now) == 0 && now.it_value.tv_sec > HOUR - 300);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(timer_delete(often) == 0);
    arm(for_function, soon, none);
    while (value_told != 5) usleep(1000);
    CHECK(timer_delete(for_function) == 0);
    return SURVIVED;
}
