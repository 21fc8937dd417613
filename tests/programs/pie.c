/* A position-independent program: data, bss and code. */
//# cflags: -pie -fPIE
#include "survive.h"

static char data[PAGE] = {1, 2, 3}, bss[1 << 20];

int main(void) {
    fill(bss, sizeof bss, 25);
    data[PAGE - 1] = 9;
    ready_and_wait();
    CHECK(is_filled(bss, sizeof bss, 25) && data[2] == 3 && data[PAGE - 1] == 9);
    return SURVIVED;
}
