/* Time through the vdso: the right time of day, and clocks that go on. */
#include "survive.h"
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static int64_t nanoseconds(struct timespec time) { return time.tv_sec * 1000000000ll + time.tv_nsec; }

static int64_t kernel_time(clockid_t clock) {
    struct timespec now;
    CHECK(syscall(SYS_clock_gettime, clock, &now) == 0);
    return nanoseconds(now);
}

static int64_t libc_time(clockid_t clock) {
    struct timespec now;
    CHECK(clock_gettime(clock, &now) == 0);
    return nanoseconds(now);
}

static void check_clocks(void) {
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
    for (int i = 0; i < 3; i++) {
        int64_t earlier = kernel_time(clocks[i]), now = libc_time(clocks[i]), later = kernel_time(clocks[i]);
        CHECK(earlier <= now && now <= later);
    }
    struct timeval now;
    int64_t earlier = kernel_time(CLOCK_REALTIME) / 1000;
    CHECK(gettimeofday(&now, NULL) == 0 && now.tv_sec * 1000000ll + now.tv_usec >= earlier);
    CHECK(time(NULL) + 1 >= earlier / 1000000);
}

int main(void) {
    unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
    check_clocks();
    ready_and_wait();
    CHECK(getauxval(AT_SYSINFO_EHDR) == vdso && memcmp((void *)vdso, "\177ELF", 4) == 0);
    for (int i = 0; i < 1000; i++) check_clocks();
    return SURVIVED;
}
