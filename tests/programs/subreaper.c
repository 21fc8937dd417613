/* A program that adopts the orphans among its descendants (PR_SET_CHILD_SUBREAPER) has none of ours to adopt. */
#include "survive.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static volatile sig_atomic_t told;

static void tell(int signal) { told = signal; }

int main(void) {
    struct sigaction action = {.sa_handler = tell};
    int adopts = 0;
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    say_ready();
    do CHECK(waitpid(-1, NULL, __WALL) == -1 && errno == ECHILD);
    while (!is_released());
    CHECK(!told && prctl(PR_GET_CHILD_SUBREAPER, &adopts) == 0 && adopts == 1);
    return SURVIVED;
}
