/* A shared mapping of a file, writable: what is written after the restart is in the file. */
#include "survive.h"

int main(void) {
    enum { SIZE = 8 * PAGE };
    int fd = new_file("data", SIZE, 19);
    char *mapping = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(mapping != MAP_FAILED && close(fd) == 0);
    fill(mapping, PAGE, 20);
    CHECK(msync(mapping, SIZE, MS_SYNC) == 0);
    ready_and_wait();
    CHECK(is_filled(mapping, PAGE, 20));
    fill(mapping + PAGE, PAGE, 21);
    char read_back[PAGE];
    fd = open("data", O_RDONLY);
    CHECK(pread(fd, read_back, PAGE, PAGE) == PAGE && is_filled(read_back, PAGE, 21));
    return SURVIVED;
}
