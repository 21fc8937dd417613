/* A page exactly where the restorer has its bss. */
#include "survive.h"

int main(void) {
    enum { SIZE = 0x5201000 - 0x5200000 };
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    char *memory = mmap((void *)0x5200000, SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
    CHECK(memory == (void *)0x5200000);
    fill(memory, SIZE, 22);
    ready_and_wait();
    CHECK(is_filled(memory, SIZE, 22));
    return SURVIVED;
}
