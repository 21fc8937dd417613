/* Shared anonymous memory in pieces of different protection that are still one object. */
#include "survive.h"

int main(void) {
    enum { SIZE = 64 * PAGE, PIECE = 16 * PAGE };
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    fill(memory, SIZE, 17);
    CHECK(mprotect(memory + PIECE, PIECE, PROT_READ) == 0);
    CHECK(mprotect(memory + 2 * PIECE, PIECE, PROT_NONE) == 0);
    /* The same pages a second time. */
    char *again = mremap(memory, 0, SIZE / 4, MREMAP_MAYMOVE);
    CHECK(again != MAP_FAILED);
    ready_and_wait();
    CHECK(mprotect(memory, SIZE, PROT_READ | PROT_WRITE) == 0);
    CHECK(is_filled(memory, SIZE, 17));
    memory[5] ^= 1;
    CHECK(again[5] == memory[5]);
    return SURVIVED;
}
