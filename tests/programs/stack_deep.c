/* A deep stack at the time of the checkpoint, 3 MiB, which goes on growing by as much. */
#include "survive.h"

__attribute__((noinline)) static unsigned descend(unsigned levels, unsigned stop) {
    volatile char frame[PAGE];
    for (int i = 0; i < PAGE; i += 64) frame[i] = (char)(levels + i);
    if (levels == stop) ready_and_wait();
    unsigned below = levels ? descend(levels - 1, stop) : 0;
    for (int i = 0; i < PAGE; i += 64) CHECK(frame[i] == (char)(levels + i));
    return below + 1;
}

int main(void) {
    enum { LEVELS = 6 * 256 - 100 };
    CHECK(descend(LEVELS, LEVELS / 2) == LEVELS + 1);
    return SURVIVED;
}
