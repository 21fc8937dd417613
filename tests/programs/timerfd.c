/* Timers that are read through descriptors: time left, interval, expirations that were not read, clock, flags. */
#include "survive.h"
#include <sys/timerfd.h>
#include <time.h>

enum { HOUR = 3600 };

static int timer(int clock, int flags, long value, long interval) {
    int fd = timerfd_create(clock, TFD_NONBLOCK);
    struct itimerspec setting = {.it_value.tv_sec = value, .it_interval.tv_sec = interval};
    CHECK(fd >= 0 && timerfd_settime(fd, flags, &setting, NULL) == 0);
    return fd;
}

static struct itimerspec setting(int fd) {
    struct itimerspec now;
    CHECK(timerfd_gettime(fd, &now) == 0);
    return now;
}

static int is_about(long seconds, long expected) { return seconds <= expected && seconds >= expected - 300; }

int main(void) {
    int monotonic = timer(CLOCK_MONOTONIC, 0, HOUR, 7), boot = timer(CLOCK_BOOTTIME, 0, HOUR, 0);
    int wall = timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, time(NULL) + HOUR, 0);
    int stopped = timer(CLOCK_MONOTONIC, 0, 0, 0), over = timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME, 1, 0);
    int often = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), copy = dup(often);
    struct itimerspec short_time = {.it_value.tv_nsec = 1000, .it_interval.tv_nsec = 1000000};
    CHECK(timerfd_settime(often, 0, &short_time, NULL) == 0);
    uint64_t ticks = 0, more;
    while (ticks < 5) CHECK(read(often, &more, 8) == 8 && (ticks += more));
    struct itimerspec stop = {.it_value.tv_sec = HOUR};
    int waiting = timer(CLOCK_MONOTONIC, 0, 0, 0);
    CHECK(timerfd_settime(waiting, 0, &short_time, NULL) == 0);
    while (setting(waiting).it_value.tv_nsec == 0) {}
    /* One that is due at any moment. */
    struct itimerspec shortest = {.it_value.tv_nsec = 1000, .it_interval.tv_nsec = 1000};
    int hurried = timer(CLOCK_MONOTONIC, 0, 0, 0);
    CHECK(timerfd_settime(hurried, 0, &shortest, NULL) == 0);
    usleep(20000);
    ready_and_wait();
    CHECK(is_about(setting(monotonic).it_value.tv_sec, HOUR) && setting(monotonic).it_interval.tv_sec == 7);
    CHECK(is_about(setting(boot).it_value.tv_sec, HOUR) && setting(boot).it_interval.tv_sec == 0);
    CHECK(is_about(setting(wall).it_value.tv_sec, HOUR));
    CHECK(setting(stopped).it_value.tv_sec == 0 && setting(stopped).it_value.tv_nsec == 0);
    CHECK(read(stopped, &ticks, 8) == -1 && errno == EAGAIN && read(monotonic, &ticks, 8) == -1 && errno == EAGAIN);
    CHECK(read(over, &ticks, 8) == 8 && ticks == 1 && read(over, &ticks, 8) == -1 && errno == EAGAIN);
    CHECK(read(waiting, &ticks, 8) == 8 && ticks >= 20);
    for (int i = 0; i < 3; i++)
        while (read(hurried, &ticks, 8) == -1) CHECK(errno == EAGAIN);
    /* It goes on ticking, and whoever reads waits for it. */
    CHECK(fcntl(often, F_GETFD) == FD_CLOEXEC && fcntl(often, F_GETFL) == O_RDWR);
    for (int i = 0; i < 3; i++) CHECK(read(copy, &ticks, 8) == 8 && ticks >= 1);
    CHECK(timerfd_settime(often, 0, &stop, NULL) == 0 && is_about(setting(copy).it_value.tv_sec, HOUR));
    return SURVIVED;
}
