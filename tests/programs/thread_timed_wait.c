/* Threads that wait with a time limit for a semaphore, a mutex, a lock, a condition, a signal, a thread. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <semaphore.h>

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, inheriting;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore;
static struct thread endless;

static struct timespec from_now(clockid_t clock, double timeout) {
    struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    time.tv_sec += (time_t)timeout;
    return time;
}

static int in_sem_clockwait(double timeout) {
    const struct timespec time = from_now(CLOCK_MONOTONIC, timeout);
    return sem_clockwait(&semaphore, CLOCK_MONOTONIC, &time) == -1 && errno == ETIMEDOUT;
}

static int in_mutex_clocklock(double timeout) {
    const struct timespec time = from_now(CLOCK_MONOTONIC, timeout);
    return pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, &time) == ETIMEDOUT;
}

static int in_rwlock_clockrdlock(double timeout) {
    const struct timespec time = from_now(CLOCK_MONOTONIC, timeout);
    return pthread_rwlock_clockrdlock(&lock, CLOCK_MONOTONIC, &time) == ETIMEDOUT;
}

static int in_rwlock_clockwrlock(double timeout) {
    const struct timespec time = from_now(CLOCK_MONOTONIC, timeout);
    return pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, &time) == ETIMEDOUT;
}

static int in_clockjoin(double timeout) {
    const struct timespec time = from_now(CLOCK_MONOTONIC, timeout);
    return pthread_clockjoin_np(endless.id, NULL, CLOCK_MONOTONIC, &time) == ETIMEDOUT;
}

static int in_cond_clockwait(double timeout) {
    const struct timespec time = from_now(CLOCK_MONOTONIC, timeout);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    int result = 0;
    CHECK(pthread_mutex_lock(&mutex) == 0);
    while (result == 0) result = pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &time);
    return result == ETIMEDOUT && pthread_mutex_unlock(&mutex) == 0;
}

static int in_sigtimedwait(double timeout) {
    const struct timespec time = time_of(timeout);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    return sigtimedwait(&set, NULL, &time) == -1 && errno == EAGAIN;
}

/* By the clock that can be set, which therefore also says whether it is too early. */
static int in_sem_timedwait(double timeout) {
    const struct timespec time = from_now(CLOCK_REALTIME, timeout);
    return sem_timedwait(&semaphore, &time) == -1 && errno == ETIMEDOUT;
}

static int in_inheriting_timedlock(double timeout) {
    const struct timespec time = from_now(CLOCK_REALTIME, timeout);
    return pthread_mutex_timedlock(&inheriting, &time) == ETIMEDOUT;
}

int main(void) {
    static struct timed_call calls[] = {
        {.name = "sem_clockwait", .number = SYS_futex, .make = in_sem_clockwait},
        {.name = "pthread_mutex_clocklock", .number = SYS_futex, .make = in_mutex_clocklock},
        {.name = "pthread_rwlock_clockrdlock", .number = SYS_futex, .make = in_rwlock_clockrdlock},
        {.name = "pthread_rwlock_clockwrlock", .number = SYS_futex, .make = in_rwlock_clockwrlock},
        {.name = "pthread_clockjoin_np", .number = SYS_futex, .make = in_clockjoin},
        {.name = "pthread_cond_clockwait", .number = SYS_futex, .make = in_cond_clockwait},
        {.name = "sigtimedwait", .number = SYS_rt_sigtimedwait, .make = in_sigtimedwait},
        {.name = "sem_timedwait", .number = SYS_futex, .make = in_sem_timedwait},
        {.name = "pthread_mutex_timedlock", .number = SYS_futex, .make = in_inheriting_timedlock},
    };
    pthread_mutexattr_t kind;
    CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT) == 0);
    CHECK(pthread_mutex_init(&inheriting, &kind) == 0 && pthread_mutex_lock(&inheriting) == 0);
    CHECK(pthread_mutex_lock(&held) == 0 && pthread_rwlock_wrlock(&lock) == 0 && sem_init(&semaphore, 0, 0) == 0);
    start(&endless, wait_at_gate_and_return, NULL);
    check_timed_calls(calls, LENGTH(calls));
    open_gate();
    finish(&endless);
    CHECK(pthread_mutex_unlock(&inheriting) == 0 && pthread_mutex_unlock(&held) == 0);
    CHECK(pthread_rwlock_unlock(&lock) == 0 && sem_trywait(&semaphore) == -1 && errno == EAGAIN);
    return SURVIVED;
}
