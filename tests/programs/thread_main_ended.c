/* A process whose main thread has ended: its other threads go on, and one of them ends it. */
//# cflags: -pthread
#include "thread.h"

static pthread_t main_thread;
static struct thread waiting;

static int main_has_ended(void) {
    char line[256] = "";
    int fd = open("/proc/self/stat", O_RDONLY);
    CHECK(fd >= 0 && read(fd, line, sizeof line - 1) > 0 && close(fd) == 0);
    return strstr(line, ") Z ") != NULL;
}

static void *outlive_main(void *argument) {
    (void)argument;
    while (!main_has_ended()) sched_yield();
    wait_until_in(&waiting, SYS_futex);
    ready_and_wait();
    while (!main_has_ended()) sched_yield();
    CHECK(gettid() != getpid());
    CHECK(pthread_join(main_thread, NULL) == 0);
    open_gate();
    CHECK(finish(&waiting) == &waiting);
    exit(SURVIVED);
}

int main(void) {
    struct thread *last = malloc(sizeof *last);
    main_thread = pthread_self();
    start(&waiting, wait_at_gate_and_return, &waiting);
    start(last, outlive_main, NULL);
    pthread_exit(NULL);
}
