/* A thread whose calls an alarm ends again and again: no alarm is lost when it comes during a checkpoint. */
//# cflags: -pthread
#include "thread.h"
#include <poll.h>
#include <semaphore.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/time.h>
#include <ucontext.h>

static sem_t semaphore;
static int locked, rounds, stop;
static volatile sig_atomic_t sets;

static void start_timer(void) {
    struct itimerval once = {.it_value = {.tv_usec = 10000}};
    CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0);
}

static void set_alarm(void) {
    sets = 1;
    start_timer();
    sets = 0;
}

/* An alarm that comes before the call is made would be gone; so it is set again, unless the thread is in the call, or is
   about to go back into it. On a busy machine it may come as soon as it is set. */
static void on_alarm(int signal, siginfo_t *info, void *context) {
    static const uint8_t instruction[] = {0x0f, 0x05};
    const uint8_t *next = (const uint8_t *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    (void)signal;
    (void)info;
    int in_call = memcmp(next, instruction, 2) == 0 || memcmp(next - 2, instruction, 2) == 0;
    if (sets || !in_call) start_timer();
}

static sigset_t alarm_only(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    return set;
}

static long in_pause(void) { return pause(); }

static long in_sem_wait(void) { return sem_wait(&semaphore); }

static long in_flock(void) { return flock(locked, LOCK_EX); }

static long in_poll(void) { return poll(NULL, 0, -1); }

static long in_select(void) { return select(0, NULL, NULL, NULL, NULL); }

static long in_nanosleep(void) {
    const struct timespec hour = {.tv_sec = 3600};
    return nanosleep(&hour, NULL);
}

/* These leave no moment between the unblocking and the call. */
static long in_sigsuspend(void) {
    sigset_t none;
    sigemptyset(&none);
    return sigsuspend(&none);
}

static long in_ppoll(void) {
    sigset_t none;
    sigemptyset(&none);
    return ppoll(NULL, 0, NULL, &none);
}

static long (*const calls[])(void) = {in_pause, in_sem_wait,   in_flock, in_poll,
                                      in_select, in_nanosleep, in_sigsuspend, in_ppoll};

static void *be_interrupted(void *argument) {
    sigset_t alarms = alarm_only();
    for (int i = 0; !is_set(&stop); i++) {
        int blocked = i % LENGTH(calls) >= 6;
        CHECK(pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &alarms, NULL) == 0);
        set_alarm();
        CHECK(calls[i % LENGTH(calls)]() == -1 && errno == EINTR);
        count_up(&rounds);
    }
    return argument;
}

int main(void) {
    struct thread thread;
    struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO};
    sigset_t alarms = alarm_only();
    int holding = new_file("data", 8, 99);
    CHECK(sem_init(&semaphore, 0, 0) == 0 && flock(holding, LOCK_EX) == 0 && (locked = open("data", O_RDWR)) >= 0);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0 && pthread_sigmask(SIG_BLOCK, &alarms, NULL) == 0);
    start(&thread, be_interrupted, NULL);
    wait_until_counted(&rounds, 3);
    ready_and_wait();
    int before = __atomic_load_n(&rounds, __ATOMIC_SEQ_CST);
    double begin = now();
    while (__atomic_load_n(&rounds, __ATOMIC_SEQ_CST) < before + LENGTH(calls)) {
        if (now() > begin + 30) FAIL("no alarm has ended call %d", rounds % LENGTH(calls));
        usleep(1000);
    }
    set(&stop);
    finish(&thread);
    return SURVIVED;
}
