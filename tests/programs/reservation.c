/* A reservation of 16 TiB with a few pages in use: they survive, and the image is small. */
//# max-image: 8M
#include "survive.h"

int main(void) {
    const size_t size = (size_t)16 << 40;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED);
    for (size_t at = 0; at < size; at += size / 16) fill(memory + at, PAGE, at);
    ready_and_wait();
    for (size_t at = 0; at < size; at += size / 16) CHECK(is_filled(memory + at, PAGE, at));
    CHECK(memory[PAGE] == 0 && memory[size - 1] == 0);
    return SURVIVED;
}
