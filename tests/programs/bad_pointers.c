/* What cannot be read or written is refused by EFAULT, as libc and the kernel would do it alone. */
#include "survive.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

static int faults(long result) { return result == -1 && errno == EFAULT; }

static void call_all(void *nowhere) {
    static const struct timespec moment = {0, 1000};
    sigset_t none;
    CHECK(sigemptyset(&none) == 0);
    int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event events;
    siginfo_t info;
    timer_t posix_timer;
    CHECK(epoll >= 0 && timer >= 0 && timer_create(CLOCK_MONOTONIC, NULL, &posix_timer) == 0);
    CHECK(faults(nanosleep(nowhere, NULL)));
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, nowhere, NULL) == EFAULT);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, nowhere, NULL) == EFAULT);
    CHECK(faults(sigsuspend(nowhere)));
    CHECK(faults(sigwaitinfo(nowhere, &info)));
    CHECK(faults(sigtimedwait(nowhere, &info, &moment)));
    CHECK(faults(sigtimedwait(&none, &info, nowhere)));
    CHECK(faults(signalfd(-1, nowhere, 0)));
    CHECK(faults(ppoll(NULL, 0, &moment, nowhere)));
    CHECK(faults(epoll_pwait(epoll, &events, 1, 0, nowhere)));
    CHECK(faults(sigaltstack(nowhere, NULL)));
    CHECK(faults(sigaltstack(NULL, nowhere)));
    CHECK(faults(timerfd_settime(timer, TFD_TIMER_ABSTIME, nowhere, NULL)));
    CHECK(faults(timer_settime(posix_timer, TIMER_ABSTIME, nowhere, NULL)));
    CHECK(timer_delete(posix_timer) == 0 && close(epoll) == 0 && close(timer) == 0);
}

int main(void) {
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
    /* Nothing there, and nothing there any more behind the first bytes. */
    void *nowhere = pages + PAGE, *end_of_all = (void *)-1;
    call_all(nowhere);
    call_all(end_of_all);
    ready_and_wait();
    call_all(nowhere);
    call_all(end_of_all);
    struct timespec *half = (struct timespec *)(pages + PAGE - sizeof(time_t));
    CHECK(faults(nanosleep(half, NULL)) && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, half, NULL) == EFAULT);
    /* A set of the kernel's size at the end of what can be read. */
    sigset_t *kernels = (sigset_t *)(pages + PAGE - 8);
    siginfo_t info;
    CHECK(sigtimedwait(kernels, &info, &(struct timespec){0, 1000}) == -1 && errno == EAGAIN);
    return SURVIVED;
}
