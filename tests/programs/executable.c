/* With a privilege: /proc/self/exe is the program, which can start itself again. */
//# needs: root
//# restorer: --any-owner
#include "survive.h"
#include <sys/wait.h>

int main(int count, char **arguments) {
    if (count > 1) return atoi(arguments[1]);
    char before[512], after[512];
    ssize_t length = readlink("/proc/self/exe", before, sizeof before);
    ready_and_wait();
    CHECK(length > 0 && readlink("/proc/self/exe", after, sizeof after) == length);
    CHECK(memcmp(before, after, length) == 0);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "itself", "17", NULL);
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 17);
    return SURVIVED;
}
