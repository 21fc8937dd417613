/* A thread forks while a checkpoint has begun, and has not stopped it yet. */
//# cflags: -pthread
//# refused: the program has children
#include "thread.h"
#include <sys/resource.h>

static rlim_t soft;
static int traced;
static pid_t child;

/* The checkpoint raises the limit of open files for itself, before it stops the threads. */
static void *fork_meanwhile(void *argument) {
    struct rlimit limit;
    cannot_be_stopped();
    set(&traced);
    do CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (limit.rlim_cur == soft);
    child = fork();
    if (child == 0)
        for (;;) pause();
    can_be_stopped();
    return argument;
}

int main(void) {
    int status;
    struct rlimit limit;
    struct thread thread;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    soft = limit.rlim_cur = limit.rlim_max - 100;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    start(&thread, fork_meanwhile, NULL);
    wait_until_set(&traced);
    ready_and_wait();
    finish(&thread);
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
    return SURVIVED;
}
