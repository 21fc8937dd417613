/* A stack that grows after the restart: 6 MiB of recursion. */
#include "survive.h"

__attribute__((noinline)) static unsigned descend(unsigned levels) {
    volatile char frame[PAGE];
    frame[0] = (char)levels;
    frame[PAGE - 1] = (char)levels;
    unsigned below = levels ? descend(levels - 1) : 0;
    return below + (frame[0] == (char)levels && frame[PAGE - 1] == (char)levels);
}

int main(void) {
    enum { LEVELS = 6 * 256 - 40 };
    ready_and_wait();
    CHECK(descend(LEVELS) == LEVELS + 1);
    return SURVIVED;
}
