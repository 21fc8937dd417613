/* A child that has ended and was not waited for. */
//# refused: child
#include "survive.h"
#include <sys/wait.h>

int main(void) {
    siginfo_t info;
    int status;
    pid_t child = fork();
    if (child == 0) _exit(5);
    CHECK(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0);
    ready_and_wait();
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5);
    return SURVIVED;
}
