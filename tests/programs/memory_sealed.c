/* Memory that was sealed: it cannot be unmapped, moved, or given another protection; also where the restorer is. */
//# needs: mseal
#include "smaps.h"
#include <sys/syscall.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

enum { SIZE = 16 * PAGE, PART = 4 * PAGE };

static int is_sealed(char *at) {
    int kept = munmap(at, PAGE) == -1 && errno == EPERM;
    kept = kept && mprotect(at, PAGE, PROT_NONE) == -1 && errno == EPERM;
    return kept && mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM;
}

int main(void) {
    char *part = map(SIZE, PROT_READ | PROT_WRITE), *stack = map(SIZE, PROT_READ | PROT_WRITE);
    char *there = mmap((void *)0x5000000, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    int fd = new_file("data", SIZE, 3);
    char *file = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(there != MAP_FAILED && file != MAP_FAILED && close(fd) == 0);
    fill(part, SIZE, 1);
    fill(there, SIZE, 2);
    fill(stack, SIZE, 4);
    CHECK(mprotect(stack, SIZE, PROT_READ) == 0);
    CHECK(syscall(SYS_mseal, part + PART, PART, 0) == 0 && syscall(SYS_mseal, there, SIZE, 0) == 0);
    CHECK(syscall(SYS_mseal, file, SIZE, 0) == 0 && syscall(SYS_mseal, stack, SIZE, 0) == 0);
    ready_and_wait();
    CHECK(is_filled(part, SIZE, 1) && is_filled(there, SIZE, 2) && is_filled(file, SIZE, 3) && is_filled(stack, SIZE, 4));
    CHECK(is_sealed(part + PART) && is_sealed(there) && is_sealed(file) && is_sealed(stack));
    part[PART] = 1, there[0] = 1;
    CHECK(munmap(part, PART) == 0 && munmap(part + 2 * PART, PART) == 0);
    return SURVIVED;
}
