/* A brk heap that covers the addresses of the restorer, as that of a non-PIE python3 does. */
//# cflags: -no-pie -fno-pie
//# aslr: off
#include "survive.h"

int main(void) {
    enum { SIZE = 96 << 20 };
    char *heap = sbrk(SIZE);
    CHECK(heap < (char *)0x5000000 && heap + SIZE > (char *)0x5400000);
    fill(heap, SIZE, 23);
    ready_and_wait();
    CHECK(is_filled(heap, SIZE, 23));
    return SURVIVED;
}
