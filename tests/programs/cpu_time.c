/* CPU time goes on where it was: of the process, of its threads, and of the children that it has waited for; timers that are set to a time of it
   expire then, and a child begins at 0. */
//# cflags: -pthread
#include "thread.h"
#include <sys/resource.h>
#include <sys/times.h>

enum { READINGS = 9 };

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

static double shown_by(clockid_t clock) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double used_by(int who) {
    struct rusage usage;
    CHECK(getrusage(who, &usage) == 0);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

static void read_all(double all[READINGS]) {
    struct tms used;
    clockid_t own_process, own_thread;
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    CHECK(times(&used) != -1);
    CHECK(clock_getcpuclockid(0, &own_process) == 0 && pthread_getcpuclockid(pthread_self(), &own_thread) == 0);
    const double now[READINGS] = {
        (double)clock() / CLOCKS_PER_SEC,
        (double)(used.tms_utime + used.tms_stime) * tick,
        (double)(used.tms_cutime + used.tms_cstime) * tick,
        used_by(RUSAGE_SELF),
        used_by(RUSAGE_CHILDREN),
        used_by(RUSAGE_THREAD),
        shown_by(CLOCK_PROCESS_CPUTIME_ID),
        shown_by(CLOCK_THREAD_CPUTIME_ID),
        shown_by(own_process) + shown_by(own_thread),
    };
    memcpy(all, now, sizeof now);
}

/* Nothing goes back. Each reading may be a tick behind. */
static void go_on_from(const double before[READINGS]) {
    double now[READINGS];
    read_all(now);
    for (int i = 0; i < READINGS; i++)
        if (now[i] < before[i] - 0.021 || now[i] > before[i] + 60) FAIL("reading %d: %f, and before %f", i, now[i], before[i]);
}

static void use(double more) {
    for (double end = shown_by(CLOCK_THREAD_CPUTIME_ID) + more; shown_by(CLOCK_THREAD_CPUTIME_ID) < end;) continue;
}

static int is_used, may_go_on;

static void *in_thread(void *argument) {
    double before[READINGS];
    use(0.3);
    read_all(before);
    set(&is_used);
    wait_until_set(&may_go_on);
    go_on_from(before);
    return argument;
}

static void wait_for_child(int status) {
    int ended;
    CHECK(wait(&ended) > 0 && WIFEXITED(ended) && WEXITSTATUS(ended) == status);
}

static volatile sig_atomic_t expired;
static void on_signal(int signal) { (void)signal, expired = 1; }

int main(void) {
    struct thread thread;
    double before[READINGS];
    timer_t timer;
    handle(SIGUSR1, on_signal, 0);
    CHECK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1}, &timer) == 0);
    if (fork() == 0) {
        use(0.2);
        _exit(0);
    }
    wait_for_child(0);
    start(&thread, in_thread, NULL);
    wait_until_set(&is_used);
    use(0.2);
    read_all(before);
    CHECK(before[0] > 0.4 && before[2] > 0.15 && before[4] > 0.15 && before[5] > 0.15);
    ready_and_wait();
    go_on_from(before);
    double end = shown_by(CLOCK_PROCESS_CPUTIME_ID) + 0.1;
    struct itimerspec setting = {.it_value = {.tv_sec = (time_t)end, .tv_nsec = (long)((end - (double)(time_t)end) * 1e9)}};
    CHECK(timer_settime(timer, TIMER_ABSTIME, &setting, NULL) == 0 && !expired);
    while (!expired) continue;
    CHECK(shown_by(CLOCK_PROCESS_CPUTIME_ID) > end - 0.02);
    if (fork() == 0) _exit((double)clock() / CLOCKS_PER_SEC < 0.2 && used_by(RUSAGE_THREAD) < 0.2 && used_by(RUSAGE_CHILDREN) == 0 ? 7 : 1);
    wait_for_child(7);
    set(&may_go_on);
    finish(&thread);
    return SURVIVED;
}
