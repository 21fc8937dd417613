/* A device without a state of its own, open by a file that the program has made and deleted. */
//# needs: root
//# memory: changes
#include "survive.h"
#include <sys/sysmacros.h>

int main(void) {
    CHECK(mknod("nothing", S_IFCHR | 0600, makedev(1, 3)) == 0);
    int null = open("nothing", O_RDWR);
    CHECK(null >= 0 && unlink("nothing") == 0);
    ready_and_wait();
    char byte;
    CHECK(write(null, "x", 1) == 1 && read(null, &byte, 1) == 0);
    return SURVIVED;
}
