/* Fills as many MiB of memory as its argument says with random bytes, then watches the clock: each time for which it stood
 * still is a line on standard output, from when to when in nanoseconds of the monotonic clock. As many threads as its second
 * argument says wait meanwhile, and it has at least as many regions of memory as its third one says. */
//# cflags: -pthread
#include "../programs/thread.h"

enum { STOOD_STILL = 1000000 };

static int waiting;

static void *wait_for_good(void *unused) {
    count_up(&waiting);
    wait_at_gate();
    return unused;
}

static void start_threads(int count) {
    pthread_t thread;
    pthread_attr_t small;
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 64 << 10) == 0);
    for (int i = 0; i < count; i++) CHECK(pthread_create(&thread, &small, wait_for_good, NULL) == 0);
    wait_until_counted(&waiting, count);
}

/* Pages with content and pages without, in turns. */
static void make_regions(int count) {
    char *memory = map((size_t)count * PAGE, PROT_NONE);
    for (int i = 0; i < count; i += 2) {
        char *page = memory + (size_t)i * PAGE;
        CHECK(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
        fill(page, PAGE, i);
    }
}

static long long nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
    CHECK(argc >= 2 && argc <= 4);
    const size_t half = strtoul(argv[1], NULL, 10) << 19;
    char *on_heap = malloc(half);
    CHECK(on_heap != NULL);
    fill(on_heap, half, 1);
    fill(map(half, PROT_READ | PROT_WRITE), half, 2);
    if (argc > 2) start_threads(atoi(argv[2]));
    if (argc > 3) make_regions(atoi(argv[3]));
    say_ready();
    for (long long last = nanoseconds();;) {
        const long long next = nanoseconds();
        if (next - last > STOOD_STILL) dprintf(1, "%019lld %019lld\n", last, next);
        last = next;
    }
}
