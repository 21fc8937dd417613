/* Threads that fork all the time. A child that is alive at the checkpoint is not the restored process's. */
//# cflags: -pthread
//# env: CKPT_CHILDREN=ignore
#include "thread.h"
#include <sys/wait.h>

enum { COUNT = 2 };

static int rounds, stop;

static void *fork_and_wait(void *argument) {
    while (!is_set(&stop)) {
        int status;
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            void *memory = malloc(1000);
            _exit(memory && gettid() == getpid() ? 7 : 1);
        }
        pid_t ended = waitpid(child, &status, 0);
        CHECK(ended == child ? WIFEXITED(status) && WEXITSTATUS(status) == 7 : errno == ECHILD);
        count_up(&rounds);
    }
    return argument;
}

int main(void) {
    struct thread threads[COUNT];
    for (int i = 0; i < COUNT; i++) start(&threads[i], fork_and_wait, NULL);
    wait_until_counted(&rounds, 10);
    ready_and_wait();
    int before = __atomic_load_n(&rounds, __ATOMIC_SEQ_CST);
    wait_until_counted(&rounds, before + 10);
    set(&stop);
    for (int i = 0; i < COUNT; i++) finish(&threads[i]);
    return SURVIVED;
}
