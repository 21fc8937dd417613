/* A root directory of its own, without /proc. */
//# needs: root
//# refused: changed its root directory
#include "survive.h"

int main(void) {
    char here[PAGE];
    CHECK(getcwd(here, sizeof here));
    int root = open("/", O_RDONLY | O_DIRECTORY);
    CHECK(root >= 0 && chroot(here) == 0);
    /* The files through which the test talks to the program have names from outside. */
    strcpy(ready_path, "/ready"), strcpy(ping_path, "/ping"), strcpy(release_path, "/release");
    ready_and_wait();
    CHECK(fchdir(root) == 0 && chroot(".") == 0);
    return SURVIVED;
}
