/* A descriptor that refers to another process. */
//# refused: it refers to another process
#include "survive.h"
#include <sys/syscall.h>

int main(void) {
    int fd = (int)syscall(SYS_pidfd_open, getppid(), 0);
    CHECK(fd >= 0);
    ready_and_wait();
    CHECK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0);
    return SURVIVED;
}
