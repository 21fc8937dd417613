/* A process that is not dumpable, since it has changed its user and has said so, stays so: `/proc` is root's then. */
//# needs: root
//# restorer: --any-owner
#include "survive.h"
#include <grp.h>
#include <sys/prctl.h>

int main(void) {
    gid_t group = 65534;
    CHECK(setgroups(1, &group) == 0 && setgid(group) == 0 && setuid(65534) == 0);
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && open("/proc/self/environ", O_RDONLY) == -1 && errno == EACCES);
    ready_and_wait();
    CHECK(prctl(PR_GET_DUMPABLE) == 0 && open("/proc/self/environ", O_RDONLY) == -1 && errno == EACCES);
    return SURVIVED;
}
