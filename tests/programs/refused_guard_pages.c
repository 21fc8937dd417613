/* Pages that the program has made guards: touching one is a SIGSEGV, although the region can be read. */
//# refused: guard pages
//# needs: guard_pages
#include "survive.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

int main(void) {
    char *memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    fill(memory, 16 * PAGE, 1);
    CHECK(madvise(memory + 4 * PAGE, PAGE, MADV_GUARD_INSTALL) == 0);
    ready_and_wait();
    CHECK(munmap(memory, 16 * PAGE) == 0);
    return SURVIVED;
}
