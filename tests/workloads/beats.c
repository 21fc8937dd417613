/* Fills as many MiB of memory as its argument says with random bytes, then watches the clock: each time for which it stood
 * still is a line on standard output, from when to when in nanoseconds of the monotonic clock. */
#include "../programs/survive.h"
#include <time.h>

enum { STOOD_STILL = 1000000 };

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    const size_t half = strtoul(argv[1], NULL, 10) << 19;
    char *on_heap = malloc(half);
    CHECK(on_heap != NULL);
    fill(on_heap, half, 1);
    fill(map(half, PROT_READ | PROT_WRITE), half, 2);
    say_ready();
    for (long long last = now();;) {
        const long long next = now();
        if (next - last > STOOD_STILL) dprintf(1, "%019lld %019lld\n", last, next);
        last = next;
    }
}
