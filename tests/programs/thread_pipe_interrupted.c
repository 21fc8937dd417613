/* Threads that write more than a pipe holds, and are interrupted by a signal, whose handler was installed with SA_RESTART or without: what was
 * written counts, and nothing else of the threads' changes. */
//# cflags: -pthread
#include "thread.h"

enum { SIZE = 1 << 20, COUNT = 2 };

/* Direction, nested task, alignment check: never set in a C program. */
static const unsigned long FLAGS = 0x400 | 0x4000 | 0x40000;

static int ends[COUNT][2];
static char *content;

static void on_signal(int signal) { (void)signal; }

static void *write_all(void *end) {
    int fd = *(int *)end;
    unsigned long flags;
    ssize_t written = write(fd, content, SIZE);
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    CHECK(!(flags & FLAGS));
    CHECK(written == fcntl(fd, F_GETPIPE_SZ));
    return NULL;
}

int main(void) {
    static const int signals[COUNT] = {SIGUSR1, SIGHUP}, kinds[COUNT] = {0, SA_RESTART};
    struct thread threads[COUNT];
    content = map(SIZE, PROT_READ | PROT_WRITE);
    for (int i = 0; i < COUNT; i++) {
        handle(signals[i], on_signal, kinds[i]);
        CHECK(pipe(ends[i]) == 0);
        start(&threads[i], write_all, &ends[i][1]);
        wait_until_in(&threads[i], SYS_write);
    }
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        CHECK(pthread_kill(threads[i].id, signals[i]) == 0);
        finish(&threads[i]);
    }
    return SURVIVED;
}
