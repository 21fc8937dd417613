/* Pipes whose other ends another process holds: after a restart those are closed, and what was in one can be read. */
#include "survive.h"
#include <signal.h>
#include <sys/wait.h>

int main(void) {
    int to[2], from[2];
    char seen[10];
    CHECK(pipe(to) == 0 && pipe(from) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(write(from[1], "here", 4) == 4);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        /* The other process is a grandchild, so that the program has no children when the signal comes. */
        if (fork() == 0)
            wait_for_release();
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child && close(to[0]) == 0 && close(from[1]) == 0);
    pid_t before = getpid();
    ready_and_wait();
    errno = 0;
    ssize_t written = write(to[1], "x", 1);
    CHECK(getpid() == before ? written == 1 || errno == EPIPE : written == -1 && errno == EPIPE);
    CHECK(read(from[0], seen, 10) == 4 && memcmp(seen, "here", 4) == 0 && read(from[0], seen, 10) == 0);
    return SURVIVED;
}
