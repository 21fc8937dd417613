/* A process without huge pages has none afterwards, although its memory is filled completely. */
#include "smaps.h"
#include <sys/prctl.h>

enum { SIZE = 16 << 20 };

int main(void) {
    CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    char *memory = map(SIZE, PROT_READ | PROT_WRITE);
    fill(memory, SIZE, 5);
    ready_and_wait();
    CHECK(is_filled(memory, SIZE, 5) && atoi(value_of(memory, "AnonHugePages:")) == 0);
    CHECK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
    return SURVIVED;
}
