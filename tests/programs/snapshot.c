/* The image is the memory of one instant, although the program goes on while it is written: also memory that is shared, that
   is not handed down to a forked process, or handed down empty, and files in memory. */
//# memory: changes
#include "survive.h"

enum { WORDS = 1 << 20, MEMORIES = 6 };

static uint64_t *map_words(int sharing, int advice) {
    void *memory = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && (advice < 0 || madvise(memory, WORDS * 8, advice) == 0));
    return memory;
}

static uint64_t *map_file(int *fd) {
    *fd = memfd_create("words", 0);
    CHECK(*fd >= 0 && ftruncate(*fd, WORDS * 8) == 0);
    void *memory = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static uint64_t *memories[MEMORIES];

/* Every word before the place where the walk is has been written in this round, and none behind it. */
static void check(uint64_t round, int memory, uint64_t position) {
    for (int i = 0; i < MEMORIES; i++)
        for (uint64_t at = 0; at < WORDS; at++) {
            int written = i < memory || (i == memory && at < position);
            if (memories[i][at] != round - !written)
                FAIL("memory %d, word %lu: %lu in round %lu, at %d, %lu", i, at, memories[i][at], round, memory, position);
        }
}

int main(void) {
    memories[0] = map_words(MAP_PRIVATE, -1);
    memories[1] = map_words(MAP_SHARED, -1);
    memories[2] = map_words(MAP_PRIVATE, MADV_DONTFORK);
    memories[3] = map_words(MAP_PRIVATE, MADV_WIPEONFORK);
    int open_one, closed;
    memories[4] = map_file(&open_one);
    memories[5] = map_file(&closed);
    CHECK(close(closed) == 0);
    pid_t process = getpid();
    for (uint64_t round = 1;; round++) {
        for (int memory = 0; memory < MEMORIES; memory++)
            for (uint64_t position = 0; position < WORDS; position++) {
                if (position % 64 == 0 && process != getpid()) {
                    process = getpid();
                    check(round, memory, position);
                }
                memories[memory][position] = round;
            }
        if (round == 1) say_ready();
        if (is_released()) return SURVIVED;
    }
}
