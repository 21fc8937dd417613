/* What libc knows of the thread's id: raise, pthread_kill, and the ids themselves agree after the restart. */
//# cflags: -pthread
#include "survive.h"
#include <pthread.h>
#include <signal.h>
#include <time.h>

static volatile sig_atomic_t caught;

static void on_signal(int signal) { caught += signal; }

int main(void) {
    clockid_t clock;
    struct timespec time;
    signal(SIGUSR1, on_signal);
    say_ready();
    for (int count = 1; !is_released(); count += 2) {
        /* In the middle of which the ids may change. */
        CHECK(raise(SIGUSR1) == 0 && caught == count * SIGUSR1);
        CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0 && caught == (count + 1) * SIGUSR1);
    }
    caught = 0;
    CHECK(gettid() == getpid());
    CHECK(raise(SIGUSR1) == 0 && caught == SIGUSR1);
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0 && caught == 2 * SIGUSR1);
    CHECK(kill(getpid(), SIGUSR1) == 0 && caught == 3 * SIGUSR1);
    CHECK(pthread_getcpuclockid(pthread_self(), &clock) == 0 && clock_gettime(clock, &time) == 0);
    return SURVIVED;
}
