/* Duplicates of a descriptor, which share their offset. */
#include "survive.h"

int main(void) {
    int fd = new_file("data", PAGE, 30), twin = dup(fd), far = fcntl(fd, F_DUPFD_CLOEXEC, 57);
    ready_and_wait();
    CHECK(far == 57 && lseek(fd, 123, SEEK_SET) == 123);
    CHECK(lseek(twin, 0, SEEK_CUR) == 123 && lseek(far, 0, SEEK_CUR) == 123);
    CHECK(fcntl(twin, F_GETFD) == 0 && fcntl(far, F_GETFD) == FD_CLOEXEC);
    return SURVIVED;
}
