/* A shared mapping of a file, writable, whose name has a newline and a backslash. */
#include "survive.h"

int main(void) {
    int fd = new_file("line\nbreak\\slash", PAGE, 19);
    char *mapping = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(mapping != MAP_FAILED && close(fd) == 0);
    ready_and_wait();
    CHECK(is_filled(mapping, PAGE, 19));
    fill(mapping, PAGE, 20);
    CHECK(msync(mapping, PAGE, MS_SYNC) == 0);
    return SURVIVED;
}
