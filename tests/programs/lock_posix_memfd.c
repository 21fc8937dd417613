/* A POSIX record lock on a file in memory, and one on such a file that the program may only write to: a checkpoint reads both,
   and the locks stay. */
#include "survive.h"
#include <sys/wait.h>

enum { SIZE = 3 * PAGE };

static int is_kept_out(int fd, off_t at) {
    struct flock lock = {.l_type = F_WRLCK, .l_start = at, .l_len = 1};
    return fcntl(fd, F_SETLK, &lock) == -1;
}

int main(void) {
    char path[64], content[SIZE], got[SIZE];
    int fds[2], status;
    fill(content, SIZE, 35);
    for (int i = 0; i < 2; i++) {
        struct flock lock = {.l_type = F_WRLCK, .l_start = 10, .l_len = 20};
        fds[i] = memfd_create("locked", MFD_ALLOW_SEALING);
        CHECK(fds[i] >= 0 && write(fds[i], content, SIZE) == SIZE);
        if (i == 1) {
            int both = fds[i];
            snprintf(path, sizeof path, "/proc/self/fd/%d", both);
            CHECK((fds[i] = open(path, O_WRONLY)) >= 0 && close(both) == 0);
        }
        CHECK(lseek(fds[i], 100, SEEK_SET) == 100 && fcntl(fds[i], F_SETLK, &lock) == 0);
    }
    CHECK(fcntl(fds[0], F_ADD_SEALS, F_SEAL_GROW) == 0);
    ready_and_wait();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 2; i++) CHECK(is_kept_out(fds[i], 29) && !is_kept_out(fds[i], 30));
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0 && fcntl(fds[0], F_GET_SEALS) == F_SEAL_GROW);
    for (int i = 0; i < 2; i++) CHECK(lseek(fds[i], 0, SEEK_CUR) == 100);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[1]);
    int again[] = {fds[0], open(path, O_RDONLY)};
    for (int i = 0; i < 2; i++) CHECK(pread(again[i], got, SIZE, 0) == SIZE && memcmp(got, content, SIZE) == 0);
    return SURVIVED;
}
