/* Threads in poll, ppoll, select and pselect with a time limit. None comes back early. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <poll.h>
#include <sys/select.h>

/* A descriptor on which nothing ever happens that these calls look for. */
static int quiet;

static int in_poll(double timeout) { return poll(NULL, 0, (int)(timeout * 1000)) == 0; }

static int in_poll_of_one(double timeout) {
    struct pollfd one = {.fd = quiet, .events = POLLPRI, .revents = -1};
    return poll(&one, 1, (int)(timeout * 1000)) == 0 && one.revents == 0 && one.events == POLLPRI;
}

static int in_ppoll(double timeout) {
    const struct timespec time = time_of(timeout);
    return ppoll(NULL, 0, &time, NULL) == 0;
}

static int in_ppoll_with_mask(double timeout) {
    struct timespec time = time_of(timeout);
    sigset_t all;
    sigfillset(&all);
    return ppoll(NULL, 0, &time, &all) == 0 && time.tv_sec == TIMEOUT && kernel_mask() == 0;
}

static int in_select(double timeout) {
    struct timeval time = {.tv_sec = (time_t)timeout};
    return select(0, NULL, NULL, NULL, &time) == 0 && time.tv_sec == 0 && time.tv_usec == 0;
}

static int in_select_of_one(double timeout) {
    struct timeval time = {.tv_sec = (time_t)timeout};
    fd_set except;
    FD_ZERO(&except);
    FD_SET(quiet, &except);
    return select(quiet + 1, NULL, NULL, &except, &time) == 0 && !FD_ISSET(quiet, &except);
}

static int in_pselect(double timeout) {
    const struct timespec time = time_of(timeout);
    sigset_t none;
    sigemptyset(&none);
    return pselect(0, NULL, NULL, NULL, &time, &none) == 0;
}

int main(void) {
    static struct timed_call calls[] = {
        {.name = "poll", .number = SYS_poll, .make = in_poll},
        {.name = "poll of a file", .number = SYS_poll, .make = in_poll_of_one},
        {.name = "ppoll", .number = SYS_ppoll, .make = in_ppoll},
        {.name = "ppoll with a mask", .number = SYS_ppoll, .make = in_ppoll_with_mask},
        {.name = "select", .number = SYS_pselect6, .make = in_select},
        {.name = "select of a file", .number = SYS_pselect6, .make = in_select_of_one},
        {.name = "pselect", .number = SYS_pselect6, .make = in_pselect},
    };
    quiet = new_file("data", 8, 91);
    check_timed_calls(calls, LENGTH(calls));
    return SURVIVED;
}
