/* Memory that a lazy restart maps from the image goes on like any other: made longer it goes on with zeros, dropped it reads
 * as zeros, also by realloc and past the end of the image. */
//# memory: changes
//# restorer: --lazy
#include "survive.h"

enum { MIB = 1 << 20 };

static int is_zero(const char *memory, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (memory[i]) return 0;
    return 1;
}

/* Three mebibytes of content at the beginning of an area that is made longer. */
static void grow(char *memory, int flags, char *to) {
    char *grown = mremap(memory, 3 * MIB, 64 * MIB, flags, to);
    CHECK(grown != MAP_FAILED && is_filled(grown, 3 * MIB, 1));
    CHECK(is_zero(grown + 3 * MIB, 61 * MIB));
    grown[64 * MIB - 1] = 1;
    CHECK((flags & MREMAP_FIXED) == 0 || grown == to);
    CHECK(munmap(grown, 64 * MIB) == 0);
}

int main(void) {
    char *buffers[6];
    for (int i = 0; i < 6; i++) {
        /* A page that cannot be used keeps them apart, and the last of them from growing where they are. */
        buffers[i] = map(3 * MIB + PAGE, PROT_READ | PROT_WRITE);
        CHECK(mprotect(buffers[i] + 3 * MIB, PAGE, PROT_NONE) == 0);
        fill(buffers[i], 3 * MIB, 1);
    }
    char *block = malloc(3 * MIB), *array = malloc(MIB);
    CHECK(block && array);
    fill(block, 3 * MIB, 1);
    fill(array, MIB, 1);
    char *small = malloc(100);
    CHECK(small);
    fill(small, 96, 1);

    ready_and_wait();

    grow(buffers[0], MREMAP_MAYMOVE, NULL);
    grow(buffers[1], MREMAP_MAYMOVE | MREMAP_FIXED, map(64 * MIB, PROT_NONE));
    CHECK(munmap(buffers[2] + 3 * MIB, PAGE) == 0);
    char *longer = mremap(buffers[2], 3 * MIB, 3 * MIB + PAGE, 0);
    CHECK(longer == buffers[2] && is_zero(longer + 3 * MIB, PAGE) && is_filled(longer, 3 * MIB, 1));
    grow(memmove(mremap(longer, 3 * MIB + PAGE, 3 * MIB, 0), buffers[2], 3 * MIB), MREMAP_MAYMOVE, NULL);
    CHECK(mremap(buffers[3], 3 * MIB, 4 * MIB, 0) == MAP_FAILED && errno == ENOMEM);
    char *shorter = mremap(buffers[3], 3 * MIB, MIB, MREMAP_MAYMOVE | MREMAP_FIXED, map(MIB, PROT_NONE));
    CHECK(shorter != MAP_FAILED && is_filled(shorter, MIB, 1));

    CHECK(madvise(buffers[4] + MIB, MIB, MADV_DONTNEED) == 0);
    CHECK(is_filled(buffers[4], MIB, 1) && is_zero(buffers[4] + MIB, MIB));
    buffers[4][MIB] = 1;
    CHECK(madvise(buffers[4], 3 * MIB, MADV_DONTNEED) == 0 && is_zero(buffers[4], 3 * MIB));
    CHECK(is_filled(buffers[5], 3 * MIB, 1) && madvise(buffers[5], MIB, MADV_FREE) == 0);
    CHECK(madvise(buffers[5] + 1, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);

    block = realloc(block, 256 * MIB);
    CHECK(block && is_filled(block, 3 * MIB, 1));
    memset(block + 3 * MIB, 1, 253 * MIB);
    for (size_t size = MIB; size < 64 * MIB; size *= 2) {
        CHECK((array = realloc(array, 2 * size)) && is_filled(array, MIB, 1));
        memset(array + size, 1, size);
    }
    CHECK((small = realloc(small, 2 * MIB)) && is_filled(small, 96, 1));
    free(block), free(array), free(small);
    return SURVIVED;
}
