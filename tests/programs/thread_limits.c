/* A thread changes limits while a checkpoint has begun, and has not stopped it yet. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <sys/resource.h>

static rlim_t soft;
static int traced;

/* The checkpoint raises the limit of open files for itself, before it stops the threads. */
static void *change_meanwhile(void *argument) {
    struct rlimit limit, core = {PAGE, PAGE};
    cannot_be_stopped();
    set(&traced);
    do CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (limit.rlim_cur == soft);
    limit.rlim_cur = soft - 100;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0 && setrlimit(RLIMIT_CORE, &core) == 0);
    can_be_stopped();
    return wait_at_gate_and_return(argument);
}

int main(void) {
    struct rlimit limit;
    struct thread thread;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    soft = limit.rlim_cur = limit.rlim_max - 100;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    start(&thread, change_meanwhile, NULL);
    wait_until_set(&traced);
    ready_and_wait();
    open_gate();
    finish(&thread);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == soft - 100);
    CHECK(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == PAGE && limit.rlim_max == PAGE);
    return SURVIVED;
}
