/* Regions with each protection there is, with content. */
#include "survive.h"

enum { SIZE = 5 * PAGE, PROTECTIONS = 8 };

int main(void) {
    char *region[PROTECTIONS];
    for (int protection = 0; protection < PROTECTIONS; protection++) {
        region[protection] = map(SIZE, PROT_READ | PROT_WRITE);
        fill(region[protection], SIZE, protection);
        CHECK(mprotect(region[protection], SIZE, protection) == 0);
    }
    ready_and_wait();
    for (int protection = 0; protection < PROTECTIONS; protection++) {
        CHECK(mprotect(region[protection], SIZE, PROT_READ) == 0);
        CHECK(is_filled(region[protection], SIZE, protection));
    }
    return SURVIVED;
}
