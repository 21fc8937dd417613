/* Barriers that are half full, one of them across processes, in their second round. */
//# cflags: -pthread
#include "thread.h"

enum { COUNT = 5 };

static pthread_barrier_t own, *shared;
static int serial[3];

static void arrive(pthread_barrier_t *barrier, int round) {
    int result = pthread_barrier_wait(barrier);
    CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
    if (result) count_up(&serial[round]);
}

static void *arrive_at_all(void *argument) {
    arrive(&own, 0);
    arrive(argument, 1);
    arrive(argument, 2);
    return argument;
}

int main(void) {
    struct thread threads[2][COUNT];
    pthread_barrierattr_t kind;
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED && pthread_barrierattr_init(&kind) == 0);
    CHECK(pthread_barrierattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0);
    CHECK(pthread_barrier_init(&own, NULL, 2 * COUNT) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_barrier_init(&shared[i], i ? &kind : NULL, COUNT + 1) == 0);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < COUNT; j++) start(&threads[i][j], arrive_at_all, &shared[i]);
    while (!is_set(&serial[0])) sched_yield();
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < COUNT; j++) wait_until_in(&threads[i][j], SYS_futex);
    ready_and_wait();
    CHECK(serial[0] == 1 && serial[1] == 0);
    for (int round = 1; round < 3; round++)
        for (int i = 0; i < 2; i++) arrive(&shared[i], round);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < COUNT; j++) finish(&threads[i][j]);
    CHECK(serial[1] == 2 && serial[2] == 2);
    for (int i = 0; i < 2; i++) CHECK(pthread_barrier_destroy(&shared[i]) == 0);
    return SURVIVED;
}
