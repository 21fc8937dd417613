/* Private memory in huge pages that the machine has set aside (MAP_HUGETLB): content, protection, and the size of the pages. */
//# needs: hugetlb
#include "smaps.h"

enum { HUGE = 2 << 20 };

static char *map_huge(void *hint, int count, int flags) {
    flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << 26;
    void *memory = mmap(hint, (size_t)count * HUGE, PROT_READ | PROT_WRITE, flags, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

int main(void) {
    /* The last one is where the restorer is. */
    char *part = map_huge(NULL, 3, 0), *unreserved = map_huge(NULL, 2, MAP_NORESERVE);
    char *there = map_huge((void *)0x5000000, 1, MAP_FIXED_NOREPLACE);
    fill(part, HUGE, 1);
    fill(part + 2 * HUGE, HUGE, 2);
    fill(unreserved, HUGE, 3);
    fill(there, HUGE, 4);
    CHECK(mprotect(part + 2 * HUGE, HUGE, PROT_READ) == 0);
    ready_and_wait();
    CHECK(is_filled(part, HUGE, 1) && is_filled(part + 2 * HUGE, HUGE, 2) && is_filled(unreserved, HUGE, 3) && is_filled(there, HUGE, 4));
    CHECK(part[HUGE] == 0 && unreserved[HUGE] == 0);
    CHECK(has_flag(part, "ht") && has_flag(unreserved, "ht") && has_flag(unreserved, "nr") && has_flag(there, "ht"));
    CHECK(munmap(part, PAGE) == -1 && mprotect(part + 2 * HUGE, HUGE, PROT_READ | PROT_WRITE) == 0);
    return SURVIVED;
}
