/* A process that has dropped root's rights: restored by root it has not got them back. */
//# needs: root
//# restorer: --any-owner
#include "survive.h"
#include <grp.h>

int main(void) {
    gid_t group = 65534;
    CHECK(setgroups(1, &group) == 0 && setgid(group) == 0 && setuid(65534) == 0);
    ready_and_wait();
    CHECK(getuid() == 65534 && geteuid() == 65534 && getgid() == 65534 && getgroups(0, NULL) == 1);
    CHECK(setuid(0) == -1 && errno == EPERM);
    return SURVIVED;
}
