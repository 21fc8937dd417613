/* A heap of 64 MiB with random content. */
#include "survive.h"

int main(void) {
    enum { SIZE = 64 << 20 };
    char *heap = malloc(SIZE);
    fill(heap, SIZE, 37);
    ready_and_wait();
    CHECK(is_filled(heap, SIZE, 37));
    return SURVIVED;
}
