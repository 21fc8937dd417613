/* A private mapping of a file in whose place there is another one, as after an upgrade. */
#include "survive.h"

int main(void) {
    enum { SIZE = 16 * PAGE };
    int fd = new_file("data", SIZE, 13);
    char *mapping = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(mapping != MAP_FAILED && close(fd) == 0);
    CHECK(close(new_file("data.new", SIZE, 14)) == 0 && rename("data.new", "data") == 0);
    ready_and_wait();
    CHECK(is_filled(mapping, SIZE, 13));
    return SURVIVED;
}
