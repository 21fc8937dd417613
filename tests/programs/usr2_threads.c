/* A program that installs its handler for SIGUSR2 when it has threads already, which block the signal: it waits until one of them lets it come. */
//# cflags: -pthread
#include "thread.h"

static volatile sig_atomic_t count;
static volatile pid_t receiver;
static int begun, suspended;

static void handler(int signal) {
    (void)signal;
    receiver = gettid();
    count++;
}

static void block(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

static void *suspend(void *argument) {
    sigset_t none;
    sigemptyset(&none);
    set(&begun);
    wait_until_set(&suspended);
    CHECK(sigsuspend(&none) == -1 && errno == EINTR && count == 1 && receiver == gettid());
    wait_at_gate();
    return argument;
}

int main(void) {
    struct thread thread;
    pid_t child;
    int status;
    block(SIG_BLOCK);
    start(&thread, suspend, NULL);
    wait_until_set(&begun);
    handle(SIGUSR2, handler, 0);
    CHECK(kill(getpid(), SIGUSR2) == 0);
    for (int i = 0; i < 100; i++) sched_yield();
    CHECK(count == 0);
    set(&suspended);
    while (count == 0) sched_yield();

    /* A child that is gone when its signal comes. */
    CHECK((child = fork()) >= 0);
    if (child == 0) _exit(kill(getppid(), SIGUSR2));
    CHECK(waitpid(child, &status, 0) == child && status == 0 && count == 1);
    block(SIG_UNBLOCK);
    CHECK(count == 2 && receiver == getpid());
    ready_and_wait();
    CHECK(count == 2 && raise(SIGUSR2) == 0 && count == 3);
    open_gate();
    finish(&thread);
    return SURVIVED;
}
