/* Descriptors 0, 1 and 2 that are closed stay closed. */
#include "survive.h"

int main(void) {
    for (int fd = 0; fd < 3; fd++) CHECK(close(fd) == 0);
    ready_and_wait();
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) != -1) return 1 + fd;
    return SURVIVED;
}
