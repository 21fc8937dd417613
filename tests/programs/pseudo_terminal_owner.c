/* Permissions of pseudo-terminals whose master side the program has, and, where root may give them away, their owner: one whose slave side
   is open, one that nobody has opened, and one that nobody may open yet. */
#include "survive.h"

enum { OPENED, NOT_OPENED, LOCKED, ALL };

int main(void) {
    struct stat before[ALL], after[ALL];
    int masters[ALL];
    for (int i = 0; i < ALL; i++) {
        masters[i] = posix_openpt(O_RDWR | O_NOCTTY);
        CHECK(masters[i] >= 0 && grantpt(masters[i]) == 0 && (i == LOCKED || unlockpt(masters[i]) == 0));
        const char *slave = ptsname(masters[i]);
        CHECK(chmod(slave, 0604) == 0 && (geteuid() != 0 || chown(slave, 12345, 4711 + i) == 0));
        CHECK((i != OPENED || open(slave, O_RDWR | O_NOCTTY) >= 0) && stat(slave, &before[i]) == 0);
    }
    ready_and_wait();
    for (int i = 0; i < ALL; i++) {
        CHECK(stat(ptsname(masters[i]), &after[i]) == 0 && (after[i].st_mode & 0777) == 0604);
        CHECK(after[i].st_uid == before[i].st_uid && after[i].st_gid == before[i].st_gid);
    }
    return SURVIVED;
}
