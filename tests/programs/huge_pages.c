/* Memory in transparent huge pages, and memory that must not be in them. */
#include "survive.h"

int main(void) {
    enum { SIZE = 16 << 20 };
    char *huge = map(SIZE, PROT_READ | PROT_WRITE), *small = map(SIZE, PROT_READ | PROT_WRITE);
    madvise(huge, SIZE, MADV_HUGEPAGE);
    madvise(small, SIZE, MADV_NOHUGEPAGE);
    fill(huge, SIZE, 38);
    fill(small, SIZE, 39);
    ready_and_wait();
    CHECK(is_filled(huge, SIZE, 38) && is_filled(small, SIZE, 39));
    return SURVIVED;
}
