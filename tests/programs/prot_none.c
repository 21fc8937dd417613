/* A region that nobody may access, partly with content, partly never touched. */
#include "survive.h"

int main(void) {
    enum { SIZE = 8 << 20 };
    char *region = map(SIZE, PROT_READ | PROT_WRITE);
    fill(region + (2 << 20), 1 << 20, 8);
    CHECK(mprotect(region, SIZE, PROT_NONE) == 0);
    ready_and_wait();
    CHECK(mprotect(region, SIZE, PROT_READ) == 0);
    CHECK(is_filled(region + (2 << 20), 1 << 20, 8));
    CHECK(region[0] == 0 && region[SIZE - 1] == 0);
    return SURVIVED;
}
