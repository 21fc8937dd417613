/* Memory that a lazy restart maps from the image, and of which a part cannot be moved: none of it is moved then. */
//# needs: mseal
//# memory: changes
//# restorer: --lazy
#include "survive.h"
#include <sys/syscall.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

enum { MIB = 1 << 20 };

int main(void) {
    char *memory = map(4 * MIB + PAGE, PROT_READ | PROT_WRITE), *other = map(8 * MIB, PROT_READ | PROT_WRITE);
    CHECK(mprotect(memory + 4 * MIB, PAGE, PROT_NONE) == 0);
    fill(memory, 4 * MIB, 1);
    fill(other, 8 * MIB, 2);
    ready_and_wait();
    CHECK(mremap(other, 4 * MIB, 6 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, other + 2 * MIB) == MAP_FAILED && errno == EINVAL);
    CHECK(is_filled(other, 8 * MIB, 2));
    CHECK(syscall(SYS_mseal, memory + 2 * MIB, MIB, 0) == 0);
    CHECK(mremap(memory, 4 * MIB, 64 * MIB, MREMAP_MAYMOVE) == MAP_FAILED);
    CHECK(is_filled(memory, 4 * MIB, 1));
    memset(memory, 1, 4 * MIB);
    return SURVIVED;
}
