/* More memory than the machine has, which was asked for piece by piece and is hardly used. */
//# max-image: 8M
#include "survive.h"
#include <sys/sysinfo.h>

int main(void) {
    const size_t piece = (size_t)1 << 30;
    struct sysinfo info;
    CHECK(sysinfo(&info) == 0);
    const size_t count = (info.totalram + info.totalswap) * info.mem_unit / piece * 3 / 2 + 1;
    char *memory = mmap(NULL, count * piece, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED && munmap(memory, count * piece) == 0);
    size_t had = 0;
    /* Who owns the system may have set a limit. */
    for (; had < count; had++) {
        char *next = mmap(memory + had * piece, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (next != memory + had * piece) break;
    }
    CHECK(had > 0);
    for (size_t i = 0; i < had; i++) fill(memory + i * piece, PAGE, i);
    ready_and_wait();
    for (size_t i = 0; i < had; i++) CHECK(is_filled(memory + i * piece, PAGE, i) && memory[i * piece + PAGE] == 0);
    return SURVIVED;
}
