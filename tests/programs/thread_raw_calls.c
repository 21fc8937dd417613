/* Threads in system calls that they make themselves, past libc's functions. None comes back early. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <poll.h>

static uint32_t word = 5;

static int in_nanosleep(double timeout) {
    const struct timespec time = time_of(timeout);
    return syscall(SYS_nanosleep, &time, NULL) == 0;
}

static int in_nanosleep_with_rest(double timeout) {
    struct timespec time = time_of(timeout), rest;
    return syscall(SYS_nanosleep, &time, &rest) == 0;
}

static int in_clock_nanosleep(double timeout) {
    const struct timespec time = time_of(timeout);
    return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL) == 0;
}

static int in_poll(double timeout) { return syscall(SYS_poll, NULL, 0, (int)(timeout * 1000)) == 0; }

static int in_ppoll(double timeout) {
    struct timespec time = time_of(timeout);
    return syscall(SYS_ppoll, NULL, 0, &time, NULL, 0) == 0;
}

static int in_select(double timeout) {
    struct timeval time = {.tv_sec = (time_t)timeout};
    return syscall(SYS_select, 0, NULL, NULL, NULL, &time) == 0;
}

static int in_futex(double timeout) {
    const struct timespec time = time_of(timeout);
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, &time, NULL, 0) == -1 && errno == ETIMEDOUT;
}

static int in_futex_until(double timeout) {
    struct timespec time;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    time.tv_sec += (time_t)timeout;
    return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 5, &time, NULL, FUTEX_BITSET_MATCH_ANY) == -1 &&
           errno == ETIMEDOUT;
}

/* Without libc's function there is neither its error number nor its code around the instruction. */
static int in_own_instruction(double timeout) {
    const struct timespec time = time_of(timeout);
    long result = SYS_nanosleep;
    __asm__ volatile("syscall" : "+a"(result) : "D"(&time), "S"(NULL) : "rcx", "r11", "memory");
    return result == 0;
}

int main(void) {
    static struct timed_call calls[] = {
        {.name = "nanosleep", .number = SYS_nanosleep, .make = in_nanosleep},
        {.name = "nanosleep with rest", .number = SYS_nanosleep, .make = in_nanosleep_with_rest},
        {.name = "clock_nanosleep", .number = SYS_clock_nanosleep, .make = in_clock_nanosleep},
        {.name = "poll", .number = SYS_poll, .make = in_poll},
        {.name = "ppoll", .number = SYS_ppoll, .make = in_ppoll},
        {.name = "select", .number = SYS_select, .make = in_select},
        {.name = "futex", .number = SYS_futex, .make = in_futex},
        {.name = "futex until", .number = SYS_futex, .make = in_futex_until},
        {.name = "own instruction", .number = SYS_nanosleep, .make = in_own_instruction},
    };
    check_timed_calls(calls, LENGTH(calls));
    return SURVIVED;
}
