/* Memory that userfaultfd watches, on behalf of another process. */
//# refused: memory that userfaultfd watches
//# needs: userfaultfd
#include "survive.h"
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int main(void) {
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY), both[2], status;
    struct uffdio_api api = {.api = UFFD_API};
    char *memory = map(PAGE, PROT_READ | PROT_WRITE);
    struct uffdio_register part = {{(uintptr_t)memory, PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
    CHECK(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &part) == 0 && pipe(both) == 0);
    /* A child's child, so that it is no child of ours. */
    pid_t program = getpid(), child = fork(), other;
    if (child == 0) {
        other = fork();
        if (other != 0) _exit(write(both[1], &other, sizeof other) == sizeof other ? 0 : 1);
        while (kill(program, 0) == 0) usleep(10000);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0 && read(both[0], &other, sizeof other) == sizeof other);
    CHECK(close(fd) == 0 && close(both[0]) == 0 && close(both[1]) == 0);
    ready_and_wait();
    CHECK(kill(other, SIGKILL) == 0);
    return SURVIVED;
}
