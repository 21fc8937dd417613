/* POSIX timers: ids, clocks, time left, interval, signal and value, overruns, a signal that was not received yet. */
#include "survive.h"
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

enum { HOUR = 3600 };

static volatile sig_atomic_t came;
static siginfo_t last;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    last = *info;
    came++;
}

static timer_t timer(clockid_t clock, int notify, int signal, int value) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_int = value};
    CHECK(timer_create(clock, &event, &timer) == 0);
    return timer;
}

static void set(timer_t timer, int flags, struct timespec first, struct timespec interval) {
    struct itimerspec setting = {.it_value = first, .it_interval = interval};
    CHECK(timer_settime(timer, flags, &setting, NULL) == 0);
}

static struct itimerspec setting(timer_t timer) {
    struct itimerspec now;
    CHECK(timer_gettime(timer, &now) == 0);
    return now;
}

static int is_about(timer_t timer, long expected, long interval) {
    struct itimerspec now = setting(timer);
    return now.it_value.tv_sec <= expected && now.it_value.tv_sec >= expected - 300 && now.it_interval.tv_sec == interval;
}

static const struct timespec none, hour = {HOUR, 0}, soon = {0, 1000000};

static siginfo_t received(int signal) {
    sigset_t set;
    siginfo_t info;
    CHECK(sigemptyset(&set) == 0 && sigaddset(&set, signal) == 0 && sigwaitinfo(&set, &info) == signal);
    return info;
}

int main(void) {
    sigset_t blocked;
    CHECK(sigemptyset(&blocked) == 0);
    for (int i = 1; i <= 5; i++) CHECK(sigaddset(&blocked, SIGRTMIN + i) == 0);
    CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0 && sigaction(SIGALRM, &action, NULL) == 0);

    /* Ids with gaps between them. */
    timer_t gone[3], monotonic, wall, cpu, thread, stopped, silent, usual;
    gone[0] = timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
    monotonic = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 1, 0);
    gone[1] = timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
    wall = timer(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 1, 0);
    cpu = timer(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 1, 0);
    gone[2] = timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
    thread = timer(CLOCK_THREAD_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 1, 0);
    stopped = timer(CLOCK_BOOTTIME, SIGEV_SIGNAL, SIGRTMIN + 1, 0);
    silent = timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
    CHECK(timer_create(CLOCK_MONOTONIC, NULL, &usual) == 0);
    for (int i = 0; i < 3; i++) CHECK(timer_delete(gone[i]) == 0);
    set(monotonic, 0, hour, (struct timespec){7, 0});
    set(wall, TIMER_ABSTIME, (struct timespec){time(NULL) + HOUR, 0}, none);
    set(cpu, 0, hour, none);
    set(thread, 0, hour, (struct timespec){5, 0});
    set(silent, 0, hour, (struct timespec){3, 0});
    /* One whose signals come, are counted while they are blocked, and are to come. */
    timer_t counted = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 2, 22);
    set(counted, 0, soon, soon);
    usleep(20000);
    /* One that has expired, one that was received and counted, one that does nothing but expire. */
    timer_t expired = timer(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 3, 33);
    set(expired, 0, soon, none);
    timer_t overrun = timer(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 4, 44);
    struct timespec earlier = {time(NULL) - 1000, 0};
    set(overrun, TIMER_ABSTIME, earlier, (struct timespec){300, 0});
    CHECK(received(SIGRTMIN + 4).si_overrun == 3 && timer_getoverrun(overrun) == 3);
    timer_t hurried = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 5, 55);
    set(hurried, 0, (struct timespec){0, 1000}, (struct timespec){0, 1000});
    while (setting(expired).it_value.tv_nsec != 0) {}
    say_ready();
    wait_for_release();

    CHECK(is_about(monotonic, HOUR, 7) && is_about(wall, HOUR, 0) && is_about(cpu, HOUR, 0));
    CHECK(is_about(thread, HOUR, 5) && is_about(stopped, 0, 0) && is_about(silent, HOUR, 3) && is_about(usual, 0, 0));
    CHECK(timer_getoverrun(overrun) == 3 && is_about(overrun, 300, 300) && timer_getoverrun(monotonic) == 0);
    CHECK(timer_gettime(gone[1], &(struct itimerspec){}) == -1 && errno == EINVAL);
    set(hurried, 0, none, none);

    /* One signal of each timer, which stands for all that the timer was due meanwhile. */
    siginfo_t info = received(SIGRTMIN + 2);
    CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 22 && info.si_overrun >= 20);
    CHECK(timer_getoverrun(counted) == info.si_overrun);
    set(counted, 0, none, none);
    info = received(SIGRTMIN + 3);
    CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 33 && info.si_overrun == 0);
    sigset_t pending;
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGRTMIN + 3) == 0 && setting(expired).it_value.tv_nsec == 0);

    /* They go on working, and so do new ones; no id is taken twice. */
    CHECK(came == 0);
    set(usual, 0, soon, none);
    while (came == 0) usleep(1000);
    CHECK(last.si_signo == SIGALRM && last.si_code == SI_TIMER);
    timer_t fresh[4];
    for (int i = 0; i < 4; i++) {
        fresh[i] = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, i);
        CHECK(fresh[i] != monotonic && fresh[i] != wall && fresh[i] != thread && fresh[i] != usual);
    }
    came = 0;
    set(fresh[3], 0, soon, none);
    while (came == 0) usleep(1000);
    CHECK(last.si_value.sival_int == 3);
    return SURVIVED;
}
