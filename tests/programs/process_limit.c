/* A program that may make no process. */
//# needs: root
//# restorer: --any-owner
#include "survive.h"
#include <sys/resource.h>

int main(void) {
    struct rlimit none = {0, 0};
    CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
    CHECK(setrlimit(RLIMIT_NPROC, &none) == 0 && fork() == -1 && errno == EAGAIN);
    ready_and_wait();
    CHECK(fork() == -1 && errno == EAGAIN);
    return SURVIVED;
}
