/* Flags of descriptors: close-on-exec, and those that fcntl can set. */
#include "survive.h"

int main(void) {
    int plain = new_file("data", 8, 32), cloexec = open("data", O_RDONLY | O_CLOEXEC);
    int flags = open("data", O_RDWR | O_NONBLOCK | O_SYNC), path = open("data", O_PATH);
    int before = fcntl(flags, F_GETFL);
    ready_and_wait();
    CHECK(fcntl(plain, F_GETFD) == 0 && fcntl(cloexec, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(flags, F_GETFL) == before);
    CHECK(fcntl(path, F_GETFL) & O_PATH);
    return SURVIVED;
}
