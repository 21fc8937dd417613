/* A userfaultfd. */
//# refused: userfaultfd
//# needs: userfaultfd
#include "survive.h"
#include <linux/userfaultfd.h>
#include <sys/syscall.h>

int main(void) {
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    CHECK(fd >= 0);
    ready_and_wait();
    CHECK(close(fd) == 0);
    return SURVIVED;
}
