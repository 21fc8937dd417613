/* Descriptors through which signals are read: which signals, and those that were pending; a changed one. */
#include "survive.h"
#include <signal.h>
#include <sys/signalfd.h>

static sigset_t set_of(int one, int other) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, one);
    sigaddset(&set, other);
    return set;
}

static int next(int fd) {
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) == sizeof info) return (int)info.ssi_signo;
    CHECK(errno == EAGAIN);
    return 0;
}

int main(void) {
    sigset_t all, set = set_of(SIGUSR1, SIGRTMIN), other = set_of(SIGTERM, SIGTERM);
    sigfillset(&all);
    CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), changed = signalfd(-1, &set, SFD_NONBLOCK);
    CHECK(fd >= 0 && signalfd(changed, &other, 0) == changed);
    union sigval value = {.sival_int = 77};
    CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0 && raise(SIGTERM) == 0);
    ready_and_wait();
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(changed, F_GETFD) == 0);
    struct signalfd_siginfo info;
    CHECK(read(fd, &info, sizeof info) == sizeof info && info.ssi_signo == (uint32_t)SIGRTMIN && info.ssi_int == 77);
    CHECK(next(fd) == 0 && next(changed) == SIGTERM && next(changed) == 0);
    CHECK(raise(SIGUSR1) == 0 && next(changed) == 0 && next(fd) == SIGUSR1);
    return SURVIVED;
}
