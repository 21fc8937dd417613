/* A program that takes an io_uring where there is one, and does without where there is none, as on many systems. */
#include "survive.h"
#include <sys/syscall.h>

int main(void) {
    char parameters[256] = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 4, parameters);
    CHECK(fd == -1 && errno == ENOSYS);
    ready_and_wait();
    CHECK(syscall(SYS_io_uring_setup, 4, parameters) == -1 && errno == ENOSYS);
    return SURVIVED;
}
