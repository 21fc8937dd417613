/* A thread that blocks all signals by a system call of its own, and that a debugger traces already. */
//# cflags: -pthread
//# env: CKPT_CHILDREN=ignore
//# env: CKPT_TIMEOUT=1
//# refused: nobody may trace it
#include "thread.h"
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int go, masked;

static void *spin(void *unused) {
    (void)unused;
    set_kernel_mask(~0ull);
    set(&masked);
    wait_until_set(&go);
    return NULL;
}

/* Traces the thread until the other side of the socket is closed, or its process ends. */
static void trace(pid_t tid, int socket) {
    char byte = ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0;
    if (write(socket, &byte, 1) == 1) read(socket, &byte, 1);
    _exit(0);
}

int main(void) {
    struct thread spinning;
    int ends[2];
    char traces;
    start(&spinning, spin, NULL);
    wait_until_set(&masked);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    pid_t child = fork();
    if (child == 0) close(ends[0]), trace(spinning.tid, ends[1]);
    CHECK(close(ends[1]) == 0 && read(ends[0], &traces, 1) == 1 && traces);
    ready_and_wait();
    CHECK(close(ends[0]) == 0 && waitpid(child, NULL, 0) == child);
    set(&go);
    finish(&spinning);
    return SURVIVED;
}
