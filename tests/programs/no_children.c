/* The program never has a child of ours: neither to wait for nor to be told about. */
#include "survive.h"
#include <signal.h>
#include <sys/wait.h>

static volatile sig_atomic_t told;

static void tell(int signal) { told = signal; }

int main(void) {
    struct sigaction action = {.sa_handler = tell};
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
    say_ready();
    do CHECK(waitpid(-1, NULL, __WALL) == -1 && errno == ECHILD);
    while (!is_released());
    CHECK(!told);
    return SURVIVED;
}
