/* A device that is mapped, though nothing is behind it. */
//# needs: root
//# needs: /dev/loop0
//# refused: a mapped device is not supported
#include "survive.h"

int main(void) {
    int fd = open("/dev/loop0", O_RDONLY);
    CHECK(fd >= 0);
    char *memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED && close(fd) == 0);
    ready_and_wait();
    CHECK(munmap(memory, PAGE) == 0);
    return SURVIVED;
}
