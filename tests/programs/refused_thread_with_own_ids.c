/* A thread that has become another user by a system call of its own. */
//# cflags: -pthread
//# needs: root
//# refused: its ids or capabilities differ
#include "thread.h"

static int go, changed;

static void *be_nobody(void *unused) {
    (void)unused;
    CHECK(syscall(SYS_setresuid, -1, 65534, -1) == 0);
    set(&changed);
    wait_until_set(&go);
    return NULL;
}

int main(void) {
    struct thread nobody;
    start(&nobody, be_nobody, NULL);
    wait_until_set(&changed);
    ready_and_wait();
    set(&go);
    finish(&nobody);
    return SURVIVED;
}
