/* A POSIX record lock: another process is kept out, also of a file that is mapped. */
#include "survive.h"
#include <sys/wait.h>

int main(void) {
    int fd = new_file("data", PAGE, 34), status;
    struct flock lock = {.l_type = F_WRLCK, .l_start = 10, .l_len = 20};
    CHECK(fcntl(fd, F_SETLK, &lock) == 0);
    CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    ready_and_wait();
    pid_t child = fork();
    if (child == 0) {
        struct flock inside = {.l_type = F_WRLCK, .l_start = 29, .l_len = 1};
        struct flock outside = {.l_type = F_WRLCK, .l_start = 30, .l_len = 1};
        _exit(fcntl(fd, F_SETLK, &inside) == -1 && fcntl(fd, F_SETLK, &outside) == 0 ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    return SURVIVED;
}
