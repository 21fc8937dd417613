/* A memfd that is mapped shared. */
//# refused: memfd
#include "survive.h"

int main(void) {
    int fd = memfd_create("memory", 0);
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED && close(fd) == 0);
    memory[0] = 1;
    ready_and_wait();
    CHECK(memory[0] == 1);
    return SURVIVED;
}
