/* Memory in transparent huge pages, and memory that must not be in them. */
#include "smaps.h"

/* What the kernel tells of huge pages in this memory: whether it may make some, and how much there is of them. */
static long may_be_huge(const char *memory) { return atol(value_of(memory, "THPeligible:")); }
static long is_huge(const char *memory) { return atol(value_of(memory, "AnonHugePages:")); }

int main(void) {
    enum { SIZE = 16 << 20 };
    char *huge = map(SIZE, PROT_READ | PROT_WRITE), *small = map(SIZE, PROT_READ | PROT_WRITE);
    madvise(huge, SIZE, MADV_HUGEPAGE);
    madvise(small, SIZE, MADV_NOHUGEPAGE);
    fill(huge, SIZE, 38);
    fill(small, SIZE, 39);
    long could_be = may_be_huge(huge), was = is_huge(huge);
    ready_and_wait();
    CHECK(is_filled(huge, SIZE, 38) && is_filled(small, SIZE, 39));
    CHECK(may_be_huge(huge) == could_be && (was == 0 || is_huge(huge) != 0));
    CHECK(may_be_huge(small) == 0 && is_huge(small) == 0);
    return SURVIVED;
}
