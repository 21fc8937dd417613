/* Standard output that is used after the restart. */
#include "survive.h"

int main(void) {
    ready_and_wait();
    CHECK(puts("I am here") >= 0 && fflush(stdout) == 0);
    return SURVIVED;
}
