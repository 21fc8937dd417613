/* The umask. */
#include "survive.h"

int main(void) {
    umask(0137);
    ready_and_wait();
    CHECK(umask(0) == 0137);
    return SURVIVED;
}
