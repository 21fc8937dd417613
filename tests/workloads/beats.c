/* Fills as many MiB of memory as its argument says with random bytes, then watches the clock: each time for which it stood
 * still is a line on standard output, from when to when in nanoseconds of the real-time clock (the only one that CRIU does not
 * set back). As many threads as its second argument says wait meanwhile, and it has at least as many regions of memory as its
 * third one says. With `words` as its fourth one the memory has random words of a small vocabulary instead, with `records`
 * random elements of lists. */
//# cflags: -pthread
#include "../programs/thread.h"

/* Nanoseconds: less than any pause, and more than what goes on all the time. */
enum { STOOD_STILL = 100000 };

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
    if (count == 0) return;
    char *memory = map((size_t)count * PAGE, PROT_NONE);
    for (int i = 0; i < count; i += 2) {
        char *page = memory + (size_t)i * PAGE;
        CHECK(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
        fill(page, PAGE, i);
    }
}

/* Words of 4 to 11 letters, of which there are 256. */
static void fill_with_words(char *memory, size_t size, uint64_t seed) {
    enum { WORDS = 256, LONGEST = 16 };
    static char words[WORDS][LONGEST];
    fill(words, sizeof words, 3);
    for (size_t at = 0; at < size;) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t length = 4 + (seed >> 40) % 8;
        if (length > size - at) length = size - at;
        memcpy(memory + at, words[seed >> 56], length);
        at += length;
    }
}

/* Elements that point at each other, with numbers most of which are small. */
static void fill_with_records(char *memory, size_t size, uint64_t seed) {
    struct record {
        struct record *next, *parent;
        uint64_t number, key;
        uint32_t length, kind;
        uint64_t unused[3];
    } *records = (struct record *)memory;
    const size_t count = size / sizeof *records;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        records[i] = (struct record){
            .next = records + (i + 1) % count,
            .parent = records + (seed >> 40) % (i + 1),
            .number = i,
            .key = seed >> 32,
            .length = (seed >> 16) % 200,
            .kind = (seed >> 24) % 5,
        };
    }
}

static void fill_with(const char *what, char *memory, size_t size, uint64_t seed) {
    if (strcmp(what, "words") == 0) fill_with_words(memory, size, seed);
    else if (strcmp(what, "records") == 0) fill_with_records(memory, size, seed);
    else fill(memory, size, seed);
}

static long long nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
    CHECK(argc >= 2 && argc <= 5);
    const size_t half = strtoul(argv[1], NULL, 10) << 19;
    char *on_heap = malloc(half);
    char *mapped = map(half, PROT_READ | PROT_WRITE);
    CHECK(on_heap != NULL);
    const char *what = argc > 4 ? argv[4] : "random bytes";
    fill_with(what, on_heap, half, 1);
    fill_with(what, mapped, half, 2);
    if (argc > 2) start_threads(atoi(argv[2]));
    if (argc > 3) make_regions(atoi(argv[3]));
    say_ready();
    for (long long last = nanoseconds();;) {
        const long long next = nanoseconds();
        if (next - last > STOOD_STILL) dprintf(1, "%019lld %019lld\n", last, next);
        last = next;
    }
}
