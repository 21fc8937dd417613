/* Descriptors of the namespaces that the process itself is in. */
#include "survive.h"

int main(void) {
    int network = open("/proc/self/ns/net", O_RDONLY), names = open("/proc/thread-self/ns/uts", O_RDONLY | O_CLOEXEC);
    CHECK(network >= 0 && names >= 0);
    ready_and_wait();
    struct stat open_, own;
    CHECK(fstat(network, &open_) == 0 && stat("/proc/self/ns/net", &own) == 0 && open_.st_ino == own.st_ino);
    CHECK(fstat(names, &open_) == 0 && stat("/proc/self/ns/uts", &own) == 0 && open_.st_ino == own.st_ino);
    CHECK(fcntl(names, F_GETFD) == FD_CLOEXEC);
    return SURVIVED;
}
