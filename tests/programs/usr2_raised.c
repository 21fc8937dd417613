/* A program that sends SIGUSR2 to itself in all ways, and has a handler for it: that is its own business, and the signal from elsewhere still
   asks for a checkpoint. */
//# cflags: -pthread
#include "survive.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t count;
static volatile pid_t sender, receiver;
static volatile int code;

static void handler(int signal, siginfo_t *info, void *context) {
    sigset_t mask;
    (void)context;
    CHECK(signal == SIGUSR2 && pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    CHECK(sigismember(&mask, SIGUSR2) && sigismember(&mask, SIGTERM) && !sigismember(&mask, SIGHUP));
    sender = info->si_pid;
    code = info->si_code;
    receiver = gettid();
    count++;
}

static void once(int signal) {
    CHECK(signal == SIGUSR2);
    count++;
}

/* Whether the handler has run once more since it was asked last. */
static int came(int expected) {
    static int before;
    int after = count, is_one = after == before + 1 && (expected == SI_TIMER || sender == getpid()) && code == expected;
    before = after;
    return is_one;
}

static int is_pending(void) {
    sigset_t set;
    CHECK(sigpending(&set) == 0);
    return sigismember(&set, SIGUSR2);
}

static void block(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

static void *kill_from_thread(void *main_thread) {
    block(SIG_BLOCK);
    CHECK(kill(getpid(), SIGUSR2) == 0 && pthread_kill(*(pthread_t *)main_thread, SIGUSR2) == 0);
    return NULL;
}

static void send(void) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    sigset_t none, set;
    siginfo_t info;
    pthread_t thread, self = pthread_self();
    timer_t timer;
    pid_t child;

    CHECK(raise(SIGUSR2) == 0 && came(SI_TKILL));
    CHECK(kill(getpid(), SIGUSR2) == 0 && came(SI_USER));
    CHECK(sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 7}) == 0 && came(SI_QUEUE));
    CHECK(pthread_kill(self, SIGUSR2) == 0 && came(SI_TKILL));

    /* Blocked, it waits, for whoever unblocks it or takes it. */
    block(SIG_BLOCK);
    CHECK(raise(SIGUSR2) == 0 && is_pending() && !came(SI_TKILL));
    block(SIG_UNBLOCK);
    CHECK(!is_pending() && came(SI_TKILL));
    block(SIG_BLOCK);
    sigemptyset(&none);
    CHECK(raise(SIGUSR2) == 0 && sigsuspend(&none) == -1 && errno == EINTR && came(SI_TKILL) && !is_pending());
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(raise(SIGUSR2) == 0 && sigwaitinfo(&set, &info) == SIGUSR2 && info.si_pid == getpid() && !came(SI_TKILL));

    /* The thread blocks it, so it is for this one, which gets it twice if it takes the first in time. */
    block(SIG_UNBLOCK);
    int before = count;
    CHECK(pthread_create(&thread, NULL, kill_from_thread, &self) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(count > before && receiver == gettid());
    came(0);

    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &soon, NULL) == 0);
    while (pause(), !came(SI_TIMER)) continue;
    CHECK(timer_delete(timer) == 0);

    /* A child that borrows the memory has dispositions of its own. */
    int status;
    CHECK((child = vfork()) >= 0);
    if (child == 0) _exit(signal(SIGUSR2, once) == SIG_ERR || signal(SIGUSR2, SIG_DFL) == SIG_ERR);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    struct sigaction now;
    CHECK(sigaction(SIGUSR2, NULL, &now) == 0 && now.sa_sigaction == handler && raise(SIGUSR2) == 0 && came(SI_TKILL));

    /* Parent and child of one program. */
    CHECK((child = fork()) >= 0);
    if (child == 0) {
        block(SIG_BLOCK);
        if (kill(getppid(), SIGUSR2) != 0) _exit(1);
        before = count;
        while (count == before) sigsuspend(&none);
        _exit(sender == getppid() ? 0 : 2);
    }
    while (sender != child) sched_yield();
    CHECK(kill(child, SIGUSR2) == 0 && waitpid(child, &status, 0) == child && status == 0);
    came(0);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO}, now;
    sigset_t mask;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGTERM);

    /* What was blocked before is blocked behind. */
    block(SIG_BLOCK);
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0 && raise(SIGUSR2) == 0 && count == 0 && is_pending());
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 && sigismember(&mask, SIGUSR2) == 1);
    for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++) CHECK(!sigismember(&mask, signal));
    block(SIG_UNBLOCK);
    CHECK(came(SI_TKILL));
    send();

    block(SIG_BLOCK);
    CHECK(raise(SIGUSR2) == 0 && is_pending());
    block(SIG_UNBLOCK);
    CHECK(came(SI_TKILL));
    ready_and_wait();
    CHECK(!came(SI_USER));
    CHECK(sigaction(SIGUSR2, NULL, &now) == 0 && now.sa_sigaction == handler && sigismember(&now.sa_mask, SIGTERM));
    send();

    /* Gone after one use, or by the program's will, it is as though there had been none. */
    action.sa_handler = once;
    action.sa_flags = SA_RESETHAND;
    int before = count;
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0 && raise(SIGUSR2) == 0 && count == before + 1);
    CHECK(sigaction(SIGUSR2, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
    CHECK(signal(SIGUSR2, SIG_IGN) == SIG_DFL && sigaction(SIGUSR2, NULL, &now) == 0 && now.sa_handler == SIG_IGN);
    return SURVIVED;
}
