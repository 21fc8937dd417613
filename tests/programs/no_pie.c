/* A program that is linked to a fixed address: data, bss and code. */
//# cflags: -no-pie -fno-pie
#include "survive.h"

static char data[PAGE] = {1, 2, 3}, bss[1 << 20];

int main(void) {
    CHECK((uintptr_t)data < 0x1000000);
    fill(bss, sizeof bss, 24);
    data[PAGE - 1] = 9;
    ready_and_wait();
    CHECK(is_filled(bss, sizeof bss, 24) && data[2] == 3 && data[PAGE - 1] == 9);
    return SURVIVED;
}
