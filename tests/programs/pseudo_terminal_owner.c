/* Permissions of a pseudo-terminal whose sides the program has, and, where root may give it away, its owner. */
#include "survive.h"

int main(void) {
    struct stat before, after;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(slave >= 0 && fchmod(slave, 0604) == 0);
    if (geteuid() == 0) CHECK(fchown(slave, 12345, 4711) == 0);
    CHECK(fstat(slave, &before) == 0);
    ready_and_wait();
    CHECK(fstat(slave, &after) == 0 && after.st_mode == before.st_mode && (after.st_mode & 0777) == 0604);
    CHECK(after.st_uid == before.st_uid && after.st_gid == before.st_gid);
    return SURVIVED;
}
