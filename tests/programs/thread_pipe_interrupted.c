/* A thread that writes more than a pipe holds, and is interrupted by a signal: what was written counts, and nothing else of the
 * thread's changes. */
//# cflags: -pthread
#include "thread.h"

enum { SIZE = 1 << 20 };

/* Direction, nested task, alignment check: never set in a C program. */
static const unsigned long FLAGS = 0x400 | 0x4000 | 0x40000;

static int ends[2];
static char *content;

static void on_signal(int signal) { (void)signal; }

static void *write_all(void *argument) {
    unsigned long flags;
    ssize_t written = write(ends[1], content, SIZE);
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    CHECK(!(flags & FLAGS));
    CHECK(written == fcntl(ends[1], F_GETPIPE_SZ));
    return argument;
}

int main(void) {
    struct thread thread;
    handle(SIGUSR1, on_signal, 0);
    CHECK(pipe(ends) == 0);
    content = map(SIZE, PROT_READ | PROT_WRITE);
    start(&thread, write_all, NULL);
    wait_until_in(&thread, SYS_write);
    ready_and_wait();
    CHECK(pthread_kill(thread.id, SIGUSR1) == 0);
    finish(&thread);
    return SURVIVED;
}
