/* A pipe whose other end another process holds: after a restart it is a pipe whose other end is closed. */
#include "survive.h"
#include <signal.h>
#include <sys/wait.h>

int main(void) {
    int ends[2];
    CHECK(pipe(ends) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        /* The reader is a grandchild, so that the program has no children when the signal comes. */
        if (fork() == 0)
            wait_for_release();
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child && close(ends[0]) == 0);
    pid_t before = getpid();
    ready_and_wait();
    errno = 0;
    ssize_t written = write(ends[1], "x", 1);
    CHECK(getpid() == before ? written == 1 || errno == EPIPE : written == -1 && errno == EPIPE);
    return SURVIVED;
}
