/* Threads in calls without an end of their own: only a signal of the program's ends them, not a checkpoint. */
//# cflags: -pthread
#include "thread.h"
#include <poll.h>
#include <semaphore.h>
#include <sys/select.h>

enum { HOUR = 3600 };

static sem_t semaphore;

static void on_signal(int signal) { (void)signal; }

static int interrupted(long result) { return result == -1 && errno == EINTR; }

/* What is left of an hour that has hardly begun. */
static int is_rest(const struct timespec *rest) { return rest->tv_sec < HOUR && rest->tv_sec > HOUR - 1000; }

static int in_pause(void) { return interrupted(pause()); }

static int in_sigsuspend(void) {
    sigset_t none;
    sigemptyset(&none);
    return interrupted(sigsuspend(&none));
}

static int in_poll(void) { return interrupted(poll(NULL, 0, -1)); }

static int in_poll_for_an_hour(void) { return interrupted(poll(NULL, 0, HOUR * 1000)); }

static int in_ppoll(void) { return interrupted(ppoll(NULL, 0, NULL, NULL)); }

static int in_select(void) { return interrupted(select(0, NULL, NULL, NULL, NULL)); }

static int in_pselect(void) { return interrupted(pselect(0, NULL, NULL, NULL, NULL, NULL)); }

static int in_sleep(void) {
    unsigned rest = sleep(HOUR);
    return rest <= HOUR && rest > HOUR - 1000;
}

static int in_nanosleep(void) {
    struct timespec time = {.tv_sec = HOUR}, rest = {0, 0};
    return interrupted(nanosleep(&time, &rest)) && is_rest(&rest) && time.tv_sec == HOUR;
}

static int in_clock_nanosleep(void) {
    struct timespec time = {.tv_sec = HOUR}, rest = {0, 0};
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &time, &rest) == EINTR && is_rest(&rest);
}

static int in_sem_wait(void) { return interrupted(sem_wait(&semaphore)); }

static int in_sem_timedwait(void) {
    struct timespec time;
    CHECK(clock_gettime(CLOCK_REALTIME, &time) == 0);
    time.tv_sec += HOUR;
    return interrupted(sem_timedwait(&semaphore, &time));
}

/* These take the signal themselves. */
static sigset_t usr1(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    return set;
}

static int in_sigwait(void) {
    sigset_t set = usr1();
    int signal;
    return sigwait(&set, &signal) == 0 && signal == SIGUSR1;
}

static int in_sigwaitinfo(void) {
    sigset_t set = usr1();
    siginfo_t info;
    return sigwaitinfo(&set, &info) == SIGUSR1 && info.si_code == SI_USER && info.si_pid == getpid();
}

static int in_sigtimedwait(void) {
    sigset_t set = usr1();
    siginfo_t info;
    const struct timespec time = {.tv_sec = HOUR};
    return sigtimedwait(&set, &info, &time) == SIGUSR1 && info.si_code == SI_USER;
}

static struct call {
    const char *name;
    long number;
    int (*make)(void);
    int returned;
    struct thread thread;
} calls[] = {
    {.name = "pause", .number = SYS_pause, .make = in_pause},
    {.name = "sigsuspend", .number = SYS_rt_sigsuspend, .make = in_sigsuspend},
    {.name = "poll", .number = SYS_poll, .make = in_poll},
    {.name = "poll for an hour", .number = SYS_poll, .make = in_poll_for_an_hour},
    {.name = "ppoll", .number = SYS_ppoll, .make = in_ppoll},
    {.name = "select", .number = SYS_pselect6, .make = in_select},
    {.name = "pselect", .number = SYS_pselect6, .make = in_pselect},
    {.name = "sleep", .number = SYS_clock_nanosleep, .make = in_sleep},
    {.name = "nanosleep", .number = SYS_clock_nanosleep, .make = in_nanosleep},
    {.name = "clock_nanosleep", .number = SYS_clock_nanosleep, .make = in_clock_nanosleep},
    {.name = "sem_wait", .number = SYS_futex, .make = in_sem_wait},
    {.name = "sem_timedwait", .number = SYS_futex, .make = in_sem_timedwait},
    {.name = "sigwait", .number = SYS_rt_sigtimedwait, .make = in_sigwait},
    {.name = "sigwaitinfo", .number = SYS_rt_sigtimedwait, .make = in_sigwaitinfo},
    {.name = "sigtimedwait", .number = SYS_rt_sigtimedwait, .make = in_sigtimedwait},
};

static void *make_call(void *argument) {
    struct call *call = argument;
    if (!call->make()) FAIL("%s: wrong result, errno %d", call->name, errno);
    set(&call->returned);
    return NULL;
}

int main(void) {
    CHECK(sem_init(&semaphore, 0, 0) == 0);
    handle(SIGUSR1, on_signal, 0);
    for (int i = 0; i < LENGTH(calls); i++) start(&calls[i].thread, make_call, &calls[i]);
    for (int i = 0; i < LENGTH(calls); i++) wait_until_in(&calls[i].thread, calls[i].number);
    ready_and_wait();
    for (int i = 0; i < LENGTH(calls); i++)
        if (is_set(&calls[i].returned)) FAIL("%s: back without a signal", calls[i].name);
    for (int i = 0; i < LENGTH(calls); i++) {
        wake(&calls[i].thread, SIGUSR1, &calls[i].returned);
        finish(&calls[i].thread);
    }
    return SURVIVED;
}
