/* Memory that userfaultfd watches. */
//# refused: memory that userfaultfd watches
//# needs: userfaultfd
#include "survive.h"
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

int main(void) {
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    struct uffdio_api api = {.api = UFFD_API};
    char *memory = map(PAGE, PROT_READ | PROT_WRITE);
    struct uffdio_register part = {{(uintptr_t)memory, PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
    CHECK(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &part) == 0);
    ready_and_wait();
    CHECK(ioctl(fd, UFFDIO_UNREGISTER, &part.range) == 0 && close(fd) == 0);
    return SURVIVED;
}
