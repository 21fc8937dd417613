/* A lock of an open file description. */
#include "survive.h"

int main(void) {
    int fd = new_file("data", PAGE, 36), other = open("data", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_start = 100, .l_len = 50}, probe = lock;
    CHECK(fcntl(fd, F_OFD_SETLK, &lock) == 0);
    ready_and_wait();
    CHECK(fcntl(other, F_OFD_GETLK, &probe) == 0 && probe.l_type == F_WRLCK);
    CHECK(probe.l_start == 100 && probe.l_len == 50);
    return SURVIVED;
}
