/* Changes of user and groups, which libc makes in all threads by a signal. */
//# needs: root
//# cflags: -pthread
#include "thread.h"
#include <grp.h>
#include <poll.h>

enum { USER = 65534, GROUP = 65533 };

static int ready, changed, polled, go;

static void do_nothing(int signal) { (void)signal; }

/* libc would answer from the thread that asks as well, but a raw call is in no doubt. */
static void check_ids(void) {
    gid_t groups[10];
    CHECK(syscall(SYS_geteuid) == USER && syscall(SYS_getegid) == GROUP && syscall(SYS_getuid) == 0);
    CHECK(syscall(SYS_getgroups, 10, groups) == 1 && groups[0] == GROUP);
}

static void *sleep_and_check(void *argument) {
    count_up(&ready);
    wait_at_gate();
    check_ids();
    return argument;
}

static void *spin_and_check(void *argument) {
    count_up(&ready);
    while (!*(volatile int *)&go) continue;
    check_ids();
    return argument;
}

/* It is libc's signal that ends this call. */
static void *poll_and_check(void *argument) {
    count_up(&ready);
    while (!is_set(&go)) CHECK(poll(NULL, 0, -1) == -1 && errno == EINTR);
    check_ids();
    set(&polled);
    return argument;
}

static void *change(void *argument) {
    wait_until_set(&changed);
    gid_t group = GROUP;
    CHECK(setgroups(1, &group) == 0 && setegid(GROUP) == 0 && seteuid(USER) == 0);
    check_ids();
    return argument;
}

int main(void) {
    struct thread sleeping, spinning, polling, changing;
    handle(SIGUSR1, do_nothing, 0);
    start(&sleeping, sleep_and_check, NULL);
    start(&spinning, spin_and_check, NULL);
    start(&polling, poll_and_check, NULL);
    start(&changing, change, NULL);
    wait_until_counted(&ready, 3);
    wait_until_in(&sleeping, SYS_futex);
    wait_until_in(&polling, SYS_poll);
    ready_and_wait();
    CHECK(geteuid() == 0);
    set(&changed);
    finish(&changing);
    check_ids();
    set(&go);
    open_gate();
    wake(&polling, SIGUSR1, &polled);
    finish(&sleeping);
    finish(&spinning);
    finish(&polling);
    CHECK(seteuid(0) == 0 && geteuid() == 0);
    return SURVIVED;
}
