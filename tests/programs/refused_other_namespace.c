/* A descriptor of a namespace that the process is not in. */
//# needs: root
//# refused: is not in this namespace
#include "survive.h"
#include <sys/wait.h>

int main(void) {
    int others[2], done[2];
    char path[64], byte;
    CHECK(pipe(others) == 0 && pipe(done) == 0);
    pid_t child = fork();
    if (child == 0) _exit(unshare(CLONE_NEWUTS) != 0 || write(others[1], "x", 1) != 1 || read(done[0], &byte, 1) != 1);
    CHECK(read(others[0], &byte, 1) == 1);
    snprintf(path, sizeof path, "/proc/%d/ns/uts", child);
    int namespace = open(path, O_RDONLY), status;
    CHECK(namespace >= 0 && write(done[1], "x", 1) == 1 && waitpid(child, &status, 0) == child && status == 0);
    ready_and_wait();
    CHECK(setns(namespace, CLONE_NEWUTS) == 0);
    return SURVIVED;
}
