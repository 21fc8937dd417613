/* A thread that has descriptors of its own. */
//# cflags: -pthread
//# refused: it has descriptors of its own
#include "thread.h"

static int go, has_own;

static void *part_with_descriptors(void *unused) {
    (void)unused;
    CHECK(unshare(CLONE_FILES) == 0);
    set(&has_own);
    wait_until_set(&go);
    return NULL;
}

int main(void) {
    struct thread other;
    start(&other, part_with_descriptors, NULL);
    wait_until_set(&has_own);
    ready_and_wait();
    set(&go);
    finish(&other);
    return SURVIVED;
}
