/* Threads that allocate and free memory all the time. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <malloc.h>

enum { COUNT = 3, BLOCKS = 64, LARGEST = 512, MAPPED = 256 << 10 };

static int rounds, stop;

static void *allocate(void *argument) {
    uint64_t *blocks[BLOCKS] = {0}, random = (uintptr_t)argument;
    while (!is_set(&stop)) {
        uint64_t *mapped = (uintptr_t)argument == 1 ? malloc(MAPPED) : NULL;
        if (mapped) mapped[MAPPED / 16] = random;
        for (int i = 0; i < 4 * BLOCKS; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint64_t **block = &blocks[random >> 32 & (BLOCKS - 1)], size = 16 + (random >> 40) % (LARGEST - 16);
            if (*block) CHECK(is_filled(*block, 16, (uintptr_t)*block + (uintptr_t)argument));
            if (i % 3) {
                free(*block);
                *block = malloc(size);
            } else {
                *block = realloc(*block, size);
            }
            CHECK(*block && malloc_usable_size(*block) >= size);
            fill(*block, 16, (uintptr_t)*block + (uintptr_t)argument);
        }
        CHECK(!mapped || mapped[MAPPED / 16] != random);
        free(mapped);
        count_up(&rounds);
    }
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    return argument;
}

int main(void) {
    struct thread threads[COUNT];
    /* Fixed, so that the large block is mapped and unmapped each time. */
    CHECK(mallopt(M_MMAP_THRESHOLD, MAPPED / 2) == 1);
    for (int i = 0; i < COUNT; i++) start(&threads[i], allocate, (void *)(uintptr_t)(i + 1));
    wait_until_counted(&rounds, 100 * COUNT);
    ready_and_wait();
    set(&stop);
    for (int i = 0; i < COUNT; i++) CHECK(finish(&threads[i]) == (void *)(uintptr_t)(i + 1));
    return SURVIVED;
}
