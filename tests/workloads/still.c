/* Fills as many MiB of memory as its first argument says with random bytes, in pages of the size that its second argument
 * says (`small` or `huge`), and forks now and then to show what that costs: each fork is a line `fork NANOSECONDS` on standard
 * output. In between it beats: with a third argument `watch` it looks at the clock as often as it can, and says at the end,
 * as `gap NANOSECONDS`, for how long it stood still at most; with `touch` it writes to every page of its memory again and
 * again, and says for each time when it was done and which processor time it has taken, as `pass TIME NANOSECONDS`; with `rest`
 * it sleeps. At the end it verifies its memory. */
#include <sys/wait.h>
#include <time.h>

#include "../programs/survive.h"

enum { FORKS = 5, HUGE = 2 << 20, BEATS = 100 };

static char *memory;
static size_t size;

static long long clock_of(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void time_forks(void) {
    for (int i = 0; i < FORKS; i++) {
        const long long before = clock_of(CLOCK_MONOTONIC);
        const pid_t child = fork();
        if (child == 0) _exit(0);
        printf("fork %lld\n", clock_of(CLOCK_MONOTONIC) - before);
        CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    }
    fflush(stdout);
}

static void watch(void) {
    long long last = clock_of(CLOCK_MONOTONIC), gap = 0;
    do {
        for (int i = 0; i < BEATS; i++) {
            const long long next = clock_of(CLOCK_MONOTONIC);
            if (next - last > gap) gap = next - last;
            last = next;
        }
    } while (!is_released());
    printf("gap %lld\n", gap);
}

/* What is written is what is there already, so that the memory can be verified. */
static void touch(void) {
    do {
        const long long before = clock_of(CLOCK_THREAD_CPUTIME_ID);
        for (size_t at = 0; at < size; at += PAGE) {
            volatile char *byte = memory + at;
            *byte = *byte;
        }
        printf("pass %lld %lld\n", clock_of(CLOCK_MONOTONIC), clock_of(CLOCK_THREAD_CPUTIME_ID) - before);
        fflush(stdout);
    } while (!is_released());
}

static void rest(void) {
    while (!is_released()) usleep(10000);
}

int main(int argc, char **argv) {
    CHECK(argc == 4);
    size = strtoul(argv[1], NULL, 10) << 20;
    const int huge = strcmp(argv[2], "huge") == 0;
    memory = map(size + HUGE, PROT_READ | PROT_WRITE);
    memory += HUGE - (uintptr_t)memory % HUGE;
    CHECK(madvise(memory, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0);
    fill(memory, size, 1);
    time_forks();
    say_ready();
    if (strcmp(argv[3], "watch") == 0) watch();
    if (strcmp(argv[3], "touch") == 0) touch();
    if (strcmp(argv[3], "rest") == 0) rest();
    time_forks();
    CHECK(is_filled(memory, size, 1));
    return SURVIVED;
}
