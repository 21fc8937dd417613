/* A process whose main thread has ended: in its other threads, half of a write to a pipe is done, and half of a time has passed. */
//# cflags: -pthread
#include "thread.h"
#include <poll.h>
#include <sys/select.h>

enum { SIZE = 1 << 20 };
/* Seconds: of the whole wait, of the part before the first checkpoint, and by which a thread may be late. */
static const double WHOLE = 3, FIRST = 1.5, LATE = 1;

static int ends[2];
static char *content;
static struct thread writer, poller, selecter, last;
/* What the clock shows while the process exists and runs, in microseconds. */
static int64_t lived;

static void live_on(void) {
    static double before;
    double time = now(), step = before ? time - before : 0;
    before = time;
    __atomic_add_fetch(&lived, (int64_t)((step < 0.02 ? step : 0.02) * 1e6), __ATOMIC_SEQ_CST);
}

static int main_has_ended(void) {
    char line[256] = "";
    int fd = open("/proc/self/stat", O_RDONLY);
    CHECK(fd >= 0 && read(fd, line, sizeof line - 1) > 0 && close(fd) == 0);
    return strstr(line, ") Z ") != NULL;
}

static void *write_all(void *argument) {
    ssize_t written = write(ends[1], content, SIZE);
    if (written != SIZE) FAIL("%zd bytes were written, errno %d", written, errno);
    return argument;
}

static void *wait_in(void *argument) {
    int64_t begin = __atomic_load_n(&lived, __ATOMIC_SEQ_CST);
    struct timeval time = {.tv_sec = (time_t)WHOLE};
    CHECK((argument ? poll(NULL, 0, (int)(WHOLE * 1000)) : select(0, NULL, NULL, NULL, &time)) == 0);
    double waited = (double)(__atomic_load_n(&lived, __ATOMIC_SEQ_CST) - begin) / 1e6;
    if (waited > WHOLE + LATE) FAIL("waited for %f s of the program's life", waited);
    return NULL;
}

static void *outlive_main(void *argument) {
    char *seen = map(SIZE, PROT_READ | PROT_WRITE);
    while (!main_has_ended()) sched_yield();
    wait_until_in(&writer, SYS_write);
    live_on();
    start(&poller, wait_in, &poller);
    start(&selecter, wait_in, NULL);
    /* Not to synchronise: this is the part of the wait that must not come again. */
    for (double begin = now(); now() < begin + FIRST; sched_yield()) live_on();
    say_ready();
    while (!is_released()) live_on();
    for (ssize_t at = 0, got; at < SIZE; at += got, live_on()) CHECK((got = read(ends[0], seen + at, SIZE - at)) > 0);
    CHECK(memcmp(seen, content, SIZE) == 0);
    finish(&writer);
    for (double begin = now(); now() < begin + WHOLE - FIRST + LATE; sched_yield()) live_on();
    finish(&poller);
    finish(&selecter);
    exit(argument ? 1 : SURVIVED);
}

int main(void) {
    content = map(SIZE, PROT_READ | PROT_WRITE);
    fill(content, SIZE, 95);
    CHECK(pipe(ends) == 0);
    start(&writer, write_all, NULL);
    start(&last, outlive_main, NULL);
    pthread_exit(NULL);
}
