/* With --pid: the ids of the process and of its threads, also where the program has stored them. */
//# restorer: --pid
//# ldflags: -pthread
#include "survive.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { THREADS = 4 };

static pid_t ids[THREADS];
static pthread_barrier_t beginning;
static atomic_int released, signals;

static void count(int signal) {
    (void)signal;
    signals++;
}

static void *live(void *id) {
    *(pid_t *)id = gettid();
    pthread_barrier_wait(&beginning);
    while (!released) sched_yield();
    CHECK(gettid() == *(pid_t *)id);
    return NULL;
}

int main(void) {
    pid_t process = getpid();
    pthread_t threads[THREADS];
    pthread_barrier_init(&beginning, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, live, &ids[i]) == 0);
    pthread_barrier_wait(&beginning);
    signal(SIGUSR1, count);
    ready_and_wait();
    CHECK(getpid() == process && gettid() == process);
    CHECK(kill(process, SIGUSR1) == 0 && tgkill(process, process, SIGUSR1) == 0 && signals == 2);
    char own[64], path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", process, ids[THREADS - 1]);
    CHECK(access(path, F_OK) == 0);
    ssize_t length = readlink("/proc/self", own, sizeof own - 1);
    CHECK(length > 0 && (own[length] = 0, atoi(own) == process));
    released = 1;
    for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    return SURVIVED;
}
