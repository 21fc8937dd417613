/* A second thread: not yet saved. */
//# cflags: -pthread
//# refused: thread
#include "survive.h"
#include <pthread.h>

static void *wait_too(void *unused) {
    wait_for_release();
    return unused;
}

int main(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_too, NULL) == 0);
    ready_and_wait();
    CHECK(pthread_join(thread, NULL) == 0);
    return SURVIVED;
}
