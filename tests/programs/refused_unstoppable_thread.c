/* A thread that takes no signal, since its vfork child runs: the others go on as though nothing had been. */
//# cflags: -pthread
//# env: CKPT_CHILDREN=ignore
//# env: CKPT_TIMEOUT=1
//# refused: did not stop
#include "thread.h"
#include <poll.h>
#include <semaphore.h>
#include <sys/wait.h>

static sem_t semaphore;
static int go;

static int wait_in_child(void *unused) {
    (void)unused;
    wait_until_set(&go);
    return 7;
}

/* Until the child ends, no signal gets through. */
static void *sleep_in_vfork(void *stack) {
    int status;
    pid_t child = clone(wait_in_child, (char *)stack + 16 * PAGE, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
    return NULL;
}

static void *sleep_for_a_time(void *argument) {
    double begin = now();
    CHECK(poll(NULL, 0, 1500) == 0 && now() - begin >= 1.5);
    return argument;
}

static void *wait_for_semaphore(void *argument) {
    CHECK(sem_wait(&semaphore) == 0);
    return argument;
}

static void *spin(void *argument) {
    set_kernel_mask(~0ull);
    while (!*(volatile int *)&go) continue;
    CHECK(kernel_mask() >> (SIGUSR2 - 1) & 1);
    return argument;
}

int main(void) {
    struct thread sleeper, timed, waiting, spinning;
    start(&sleeper, sleep_in_vfork, map(16 * PAGE, PROT_READ | PROT_WRITE));
    start(&waiting, wait_for_semaphore, NULL);
    start(&spinning, spin, NULL);
    wait_until_in(&sleeper, SYS_clone);
    wait_until_in(&waiting, SYS_futex);
    start(&timed, sleep_for_a_time, NULL);
    ready_and_wait();
    set(&go);
    CHECK(sem_post(&semaphore) == 0);
    finish(&sleeper);
    finish(&timed);
    finish(&waiting);
    finish(&spinning);
    return SURVIVED;
}
