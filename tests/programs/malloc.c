/* The heap of malloc: blocks of many sizes, some freed, and malloc and free going on after the restart. */
#include "survive.h"
#include <malloc.h>

enum { BLOCKS = 20000 };

static size_t size_of(unsigned i) { return 8 + (i * 2654435761u >> 20) % (i % 100 ? 900 : 300000) / 8 * 8; }

int main(void) {
    static void *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) fill(blocks[i] = malloc(size_of(i)), size_of(i), i);
    for (unsigned i = 0; i < BLOCKS; i += 3) free(blocks[i]);
    ready_and_wait();
    for (unsigned i = 0; i < BLOCKS; i++)
        if (i % 3) CHECK(is_filled(blocks[i], size_of(i), i));
    for (unsigned i = 0; i < BLOCKS; i += 3) fill(blocks[i] = malloc(size_of(i)), size_of(i), i);
    for (unsigned i = 0; i < BLOCKS; i++) {
        CHECK(is_filled(blocks[i], size_of(i), i));
        free(blocks[i]);
    }
    malloc_trim(0);
    return SURVIVED;
}
