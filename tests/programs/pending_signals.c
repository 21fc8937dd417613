/* Signals that are pending: an ordinary one, and queued real-time signals with their values, in order. */
#include "survive.h"
#include <signal.h>

int main(void) {
    enum { QUEUED = 5 };
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 1);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGUSR1) == 0);
    for (int i = 0; i < QUEUED; i++)
        CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 100 + i}) == 0);
    ready_and_wait();
    const struct timespec now = {0, 0};
    CHECK(sigtimedwait(&set, &info, &now) == SIGUSR1);
    for (int i = 0; i < QUEUED; i++) {
        CHECK(sigtimedwait(&set, &info, &now) == SIGRTMIN + 1);
        CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == 100 + i);
    }
    CHECK(sigtimedwait(&set, &info, &now) == -1 && errno == EAGAIN);
    return SURVIVED;
}
