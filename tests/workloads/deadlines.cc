/* Waits for times of clocks that count from a boot, by every call that does, in short and in long waits, until the release: no
 * wait ends before its time or long after it, and no clock jumps. */
#include "../programs/thread.h"
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <semaphore.h>
#include <sys/timerfd.h>
#include <thread>

/* Seconds by which a wait may be late, and a clock go on between two looks at it: much more than a busy machine needs, and
 * much less than the clocks of two boots differ by. */
static const double LATE = 100;

static sem_t semaphore;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static std::timed_mutex held_too;
static struct thread endless;
static uint32_t word;

static int in_clock_nanosleep(const struct timespec *time) {
    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, time, NULL) == 0;
}
static int in_cond_timedwait(const struct timespec *time) {
    pthread_condattr_t kind;
    pthread_cond_t condition;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    CHECK(pthread_condattr_init(&kind) == 0 && pthread_condattr_setclock(&kind, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&condition, &kind) == 0 && pthread_mutex_lock(&mutex) == 0);
    return pthread_cond_timedwait(&condition, &mutex, time) == ETIMEDOUT;
}
static int in_cond_clockwait(const struct timespec *time) {
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    CHECK(pthread_mutex_lock(&mutex) == 0);
    return pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, time) == ETIMEDOUT;
}
static int in_sem_clockwait(const struct timespec *time) {
    return sem_clockwait(&semaphore, CLOCK_MONOTONIC, time) == -1 && errno == ETIMEDOUT;
}
static int in_mutex_clocklock(const struct timespec *time) {
    return pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, time) == ETIMEDOUT;
}
static int in_rwlock_clockrdlock(const struct timespec *time) {
    return pthread_rwlock_clockrdlock(&lock, CLOCK_MONOTONIC, time) == ETIMEDOUT;
}
static int in_rwlock_clockwrlock(const struct timespec *time) {
    return pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, time) == ETIMEDOUT;
}
static int in_clockjoin(const struct timespec *time) {
    return pthread_clockjoin_np(endless.id, NULL, CLOCK_MONOTONIC, time) == ETIMEDOUT;
}
static int in_futex(const struct timespec *time) {
    return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, time, NULL, -1) == -1 && errno == ETIMEDOUT;
}
static int in_system_call(const struct timespec *time) {
    return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, time, NULL) == 0;
}

static std::chrono::steady_clock::time_point point(const struct timespec *time) {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(time->tv_sec) +
                                                 std::chrono::nanoseconds(time->tv_nsec));
}
static int in_wait_until(const struct timespec *time) {
    std::mutex mutex;
    std::condition_variable condition;
    std::unique_lock<std::mutex> locked(mutex);
    while (condition.wait_until(locked, point(time)) != std::cv_status::timeout) continue;
    return 1;
}
static int in_try_lock_until(const struct timespec *time) { return !held_too.try_lock_until(point(time)); }
static int in_future_wait_until(const struct timespec *time) {
    return std::promise<int>().get_future().wait_until(point(time)) == std::future_status::timeout;
}
static int in_sleep_until(const struct timespec *time) {
    std::this_thread::sleep_until(point(time));
    return 1;
}

static struct wait {
    const char *name;
    int (*make)(const struct timespec *); /* whether it ended as it should */
    struct thread often, seldom;
} waits[] = {
    {"clock_nanosleep", in_clock_nanosleep, {}, {}},
    {"pthread_cond_timedwait", in_cond_timedwait, {}, {}},
    {"pthread_cond_clockwait", in_cond_clockwait, {}, {}},
    {"sem_clockwait", in_sem_clockwait, {}, {}},
    {"pthread_mutex_clocklock", in_mutex_clocklock, {}, {}},
    {"pthread_rwlock_clockrdlock", in_rwlock_clockrdlock, {}, {}},
    {"pthread_rwlock_clockwrlock", in_rwlock_clockwrlock, {}, {}},
    {"pthread_clockjoin_np", in_clockjoin, {}, {}},
    {"futex", in_futex, {}, {}},
    {"system call", in_system_call, {}, {}},
    {"condition_variable::wait_until", in_wait_until, {}, {}},
    {"timed_mutex::try_lock_until", in_try_lock_until, {}, {}},
    {"future::wait_until", in_future_wait_until, {}, {}},
    {"sleep_until", in_sleep_until, {}, {}},
};
static int stop;

static void wait_again_and_again(const struct wait *wait, double duration) {
    while (!is_set(&stop)) {
        double end = now() + duration;
        const struct timespec time = time_of(end), before = time;
        if (!wait->make(&time)) FAIL("%s: wrong result, errno %d", wait->name, errno);
        /* What is a number of nanoseconds is rounded as a double. */
        if (now() < end - 1e-5) FAIL("%s: back %f s before its time", wait->name, end - now());
        if (now() > end + LATE) FAIL("%s: back %f s after its time", wait->name, now() - end);
        if (memcmp(&time, &before, sizeof time) != 0) FAIL("%s: the program's time was changed", wait->name);
    }
}
static void *wait_often(void *wait) {
    wait_again_and_again((struct wait *)wait, 0.2);
    return NULL;
}
static void *wait_seldom(void *wait) {
    wait_again_and_again((struct wait *)wait, 3);
    return NULL;
}

static double time_on(clockid_t clock) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Timers that run out at a time of a clock. */
static void check_timers(void) {
    struct sigevent event = {};
    event.sigev_notify = SIGEV_NONE;
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    int fd = timerfd_create(CLOCK_BOOTTIME, 0);
    double end = now() + 0.3, end_of_fd = time_on(CLOCK_BOOTTIME) + 0.3;
    const struct itimerspec start = {{0, 0}, time_of(end)}, start_of_fd = {{0, 0}, time_of(end_of_fd)};
    CHECK(timer_settime(timer, TIMER_ABSTIME, &start, NULL) == 0);
    CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &start_of_fd, NULL) == 0);
    struct itimerspec left = start;
    while (left.it_value.tv_sec || left.it_value.tv_nsec) {
        if (now() > end + LATE) FAIL("a timer runs after its time");
        CHECK(timer_gettime(timer, &left) == 0);
    }
    if (now() < end - 1e-5) FAIL("a timer has run out %f s before its time", end - now());
    uint64_t count;
    CHECK(read(fd, &count, sizeof count) == sizeof count && count == 1);
    if (time_on(CLOCK_BOOTTIME) < end_of_fd - 1e-5) FAIL("a timer that is read has run out before its time");
}

/* Timers that are set to a time in an hour and to an hour from now on. */
static const double HOUR = 3600;
static timer_t long_timers[2];
static int long_fds[2];
static double end_of_long;

static void start_long_timers(void) {
    struct sigevent event = {};
    event.sigev_notify = SIGEV_NONE;
    end_of_long = now() + HOUR;
    for (int absolute = 0; absolute < 2; absolute++) {
        const struct itimerspec start = {{0, 0}, time_of(absolute ? end_of_long : HOUR)};
        long_fds[absolute] = timerfd_create(CLOCK_MONOTONIC, 0);
        CHECK(timerfd_settime(long_fds[absolute], absolute ? TFD_TIMER_ABSTIME : 0, &start, NULL) == 0);
        CHECK(timer_create(CLOCK_MONOTONIC, &event, &long_timers[absolute]) == 0);
        CHECK(timer_settime(long_timers[absolute], absolute ? TIMER_ABSTIME : 0, &start, NULL) == 0);
    }
}

static void check_long_timers(void) {
    for (int absolute = 0; absolute < 2; absolute++) {
        struct itimerspec left[2];
        CHECK(timer_gettime(long_timers[absolute], &left[0]) == 0 && timerfd_gettime(long_fds[absolute], &left[1]) == 0);
        double expected = end_of_long - now();
        for (int i = 0; i < 2; i++) {
            double found = (double)left[i].it_value.tv_sec + (double)left[i].it_value.tv_nsec / 1e9;
            if (found < expected - LATE || found > expected + LATE)
                FAIL("a long timer has %f s left instead of %f s", found, expected);
        }
    }
}

/* Whatever the clocks, what is no time is refused, and so is what leads nowhere. */
static void check_what_is_no_time(void) {
    static const struct timespec no_times[] = {{-1, 0}, {0, -1}, {1, 1000000000}};
    static const struct itimerspec soon = {{0, 0}, {0, 1}};
    struct sigevent none;
    struct itimerspec left;
    timer_t timer;
    uint64_t count;
    memset(&none, 0, sizeof none);
    none.sigev_notify = SIGEV_NONE;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    CHECK(fd >= 0 && timer_create(CLOCK_MONOTONIC, &none, &timer) == 0);
    for (const struct timespec &time : no_times) {
        struct itimerspec start = {{0, 0}, time};
        CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINVAL);
        CHECK(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == -1 && errno == EINVAL);
        CHECK(timer_settime(timer, TIMER_ABSTIME, &start, NULL) == -1 && errno == EINVAL);
        CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &start, NULL) == -1 && errno == EINVAL);
    }
    /* A time that has passed is one. */
    CHECK(timer_settime(timer, TIMER_ABSTIME, &soon, NULL) == 0 && timerfd_settime(fd, TFD_TIMER_ABSTIME, &soon, NULL) == 0);
    CHECK(read(fd, &count, sizeof count) == sizeof count && timer_gettime(timer, &left) == 0 && left.it_value.tv_sec == 0);
    CHECK(timer_delete(timer) == 0 && close(fd) == 0);
    CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8) == -1 && errno == EFAULT);
}

int main(void) {
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
    double last[LENGTH(clocks)];
    CHECK(sem_init(&semaphore, 0, 0) == 0 && pthread_mutex_lock(&held) == 0 && pthread_rwlock_wrlock(&lock) == 0);
    held_too.lock();
    start(&endless, wait_at_gate_and_return, NULL);
    for (int i = 0; i < LENGTH(clocks); i++) last[i] = time_on(clocks[i]);
    for (struct wait &wait : waits) {
        start(&wait.often, wait_often, &wait);
        start(&wait.seldom, wait_seldom, &wait);
    }
    start_long_timers();
    say_ready();
    for (unsigned round = 0; round % 1000 || !is_released(); round++) {
        /* Without a pause, so that a checkpoint comes while a clock is read. */
        for (int i = 0; i < LENGTH(clocks); i++) {
            double time = time_on(clocks[i]), step = time - last[i];
            if (step < 0 || step > LATE) FAIL("clock %d jumps by %f s", clocks[i], step);
            last[i] = time;
        }
    }
    check_timers();
    check_long_timers();
    check_what_is_no_time();
    set(&stop);
    for (struct wait &wait : waits) {
        finish(&wait.often);
        finish(&wait.seldom);
    }
    open_gate();
    finish(&endless);
    return SURVIVED;
}
