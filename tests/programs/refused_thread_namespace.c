/* A thread in a namespace of its own. */
//# needs: root
//# cflags: -pthread
//# refused: a namespace of its own (uts
#include "thread.h"

static int is_inside;

static void *go_inside(void *argument) {
    CHECK(unshare(CLONE_NEWUTS) == 0);
    set(&is_inside);
    wait_at_gate();
    return argument;
}

int main(void) {
    struct thread thread;
    start(&thread, go_inside, NULL);
    wait_until_set(&is_inside);
    ready_and_wait();
    open_gate();
    finish(&thread);
    return SURVIVED;
}
