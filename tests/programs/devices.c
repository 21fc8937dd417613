/* Devices that every machine has: null, zero, full, urandom. */
#include "survive.h"

int main(void) {
    char buffer[16];
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY);
    int full = open("/dev/full", O_WRONLY), random = open("/dev/urandom", O_RDONLY);
    CHECK(null >= 0 && zero >= 0 && full >= 0 && random >= 0);
    ready_and_wait();
    CHECK(write(null, "x", 1) == 1 && read(null, buffer, 1) == 0);
    CHECK(read(zero, buffer, 16) == 16 && buffer[15] == 0);
    CHECK(write(full, "x", 1) == -1 && errno == ENOSPC);
    CHECK(read(random, buffer, 16) == 16);
    return SURVIVED;
}
