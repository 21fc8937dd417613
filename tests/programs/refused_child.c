/* A child that lives. */
//# refused: child
#include "survive.h"
#include <signal.h>
#include <sys/wait.h>

int main(void) {
    int status;
    pid_t child = fork();
    if (child == 0)
        for (;;) pause();
    ready_and_wait();
    CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
    return SURVIVED;
}
