/* 64 MiB of which every sixteenth page was written, every sixteenth read, every sixteenth set to zero. */
//# max-image: 12M
#include "survive.h"

int main(void) {
    enum { SIZE = 64 << 20, STEP = 16 * PAGE };
    char *memory = map(SIZE, PROT_READ | PROT_WRITE);
    CHECK(madvise(memory, SIZE, MADV_NOHUGEPAGE) == 0);
    for (int at = 0; at < SIZE; at += STEP) {
        fill(memory + at, PAGE, at);
        CHECK(((volatile char *)memory)[at + 2 * PAGE] == 0);
        memset(memory + at + 5 * PAGE, 0, PAGE);
    }
    ready_and_wait();
    for (int at = 0; at < SIZE; at += STEP) {
        CHECK(is_filled(memory + at, PAGE, at));
        for (int page = 1; page < 16; page++) CHECK(memory[at + page * PAGE] == 0);
    }
    return SURVIVED;
}
