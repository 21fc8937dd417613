/* Children started after the restart: fork, exec, wait, SIGCHLD. */
#include "survive.h"
#include <signal.h>
#include <sys/wait.h>

static volatile sig_atomic_t ended;

static void on_child(int signal) {
    (void)signal;
    ended++;
}

int main(void) {
    int status;
    signal(SIGCHLD, on_child);
    ready_and_wait();
    CHECK(ended == 0 && waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    pid_t child = fork();
    if (child == 0) _exit(7);
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7 && ended == 1);
    CHECK(system("true") == 0);
    CHECK(WEXITSTATUS(system("exit 3")) == 3);
    FILE *output = popen("echo from a child", "r");
    char line[40];
    CHECK(output && fgets(line, sizeof line, output) && strcmp(line, "from a child\n") == 0 && pclose(output) == 0);
    return SURVIVED;
}
