/* The brk heap: its content, its end, and that it grows and shrinks after the restart. */
#include "survive.h"

int main(void) {
    enum { SIZE = 3 << 20 };
    char *heap = sbrk(SIZE);
    CHECK(heap != (void *)-1);
    fill(heap, SIZE, 6);
    char *end = sbrk(0);
    ready_and_wait();
    CHECK(sbrk(0) == end);
    CHECK(is_filled(heap, SIZE, 6));
    CHECK(sbrk(SIZE) == end);
    for (char *page = end; page < end + SIZE; page += PAGE) CHECK(*page == 0);
    fill(end, SIZE, 7);
    CHECK(sbrk(-2 * SIZE) == end + SIZE && sbrk(0) == heap);
    CHECK(sbrk(SIZE) == heap && *heap == 0);
    return SURVIVED;
}
