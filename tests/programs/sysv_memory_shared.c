/* System V shared memory that another process has attached, too: it is shared with that one again. */
#include "survive.h"
#include <signal.h>
#include <sys/shm.h>
#include <sys/wait.h>

struct shared {
    int asked, answered;
};

/* Nobody's child, and of no group of ours: answers until it is told to end, but no longer than the test can take. */
static void answer(volatile struct shared *shared) {
    setsid();
    alarm(300);
    for (;;) {
        int asked = shared->asked;
        shared->answered = asked;
        if (asked < 0) _exit(0);
        sched_yield();
    }
}

static int answers(volatile struct shared *shared, int question) {
    shared->asked = question;
    while (shared->answered != question) sched_yield();
    return 1;
}

int main(void) {
    int id = shmget(IPC_PRIVATE, sizeof(struct shared), 0600);
    volatile struct shared *shared = shmat(id, NULL, 0);
    CHECK(shared != (void *)-1 && shmctl(id, IPC_RMID, NULL) == 0);
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) answer(shared);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    CHECK(answers(shared, 1));
    ready_and_wait();
    CHECK(answers(shared, 2) && answers(shared, -1));
    return SURVIVED;
}
