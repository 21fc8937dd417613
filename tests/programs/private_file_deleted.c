/* Private mappings of a file that was deleted, untouched and modified, and longer than the file. */
#include "survive.h"

int main(void) {
    enum { SIZE = 16 * PAGE };
    int fd = new_file("data", SIZE, 11);
    char *mapping = mmap(NULL, SIZE + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(mapping != MAP_FAILED && close(fd) == 0 && unlink("data") == 0);
    fill(mapping + 8 * PAGE, 8 * PAGE, 12);
    ready_and_wait();
    CHECK(is_filled(mapping, 8 * PAGE, 11));
    CHECK(is_filled(mapping + 8 * PAGE, 8 * PAGE, 12));
    return SURVIVED;
}
