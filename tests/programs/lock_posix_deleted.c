/* A POSIX record lock on a file that has no name any more: a checkpoint reads the file, and the lock stays. */
#include "survive.h"
#include <sys/wait.h>

int main(void) {
    int fd = new_file("data", 3 * PAGE, 34), status;
    struct flock lock = {.l_type = F_WRLCK, .l_start = 10, .l_len = 20};
    CHECK(unlink("data") == 0 && lseek(fd, 100, SEEK_SET) == 100 && fcntl(fd, F_SETLK, &lock) == 0);
    ready_and_wait();
    pid_t child = fork();
    if (child == 0) {
        struct flock inside = {.l_type = F_WRLCK, .l_start = 29, .l_len = 1};
        struct flock outside = {.l_type = F_WRLCK, .l_start = 30, .l_len = 1};
        _exit(fcntl(fd, F_SETLK, &inside) == -1 && fcntl(fd, F_SETLK, &outside) == 0 ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    char content[3 * PAGE];
    CHECK(lseek(fd, 0, SEEK_CUR) == 100 && pread(fd, content, sizeof content, 0) == sizeof content);
    CHECK(is_filled(content, sizeof content, 34));
    return SURVIVED;
}
