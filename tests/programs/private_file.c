/* Private mappings of a file, untouched, partly modified, and with an offset. */
#include "survive.h"

int main(void) {
    enum { SIZE = 16 * PAGE };
    int fd = new_file("data", SIZE, 9);
    char *whole = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    char *modified = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *end = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, SIZE - PAGE);
    CHECK(whole != MAP_FAILED && modified != MAP_FAILED && end != MAP_FAILED && close(fd) == 0);
    fill(modified + 3 * PAGE, 2 * PAGE, 10);
    ready_and_wait();
    CHECK(is_filled(whole, SIZE, 9));
    CHECK(is_filled(modified + 3 * PAGE, 2 * PAGE, 10));
    CHECK(memcmp(modified, whole, 3 * PAGE) == 0);
    CHECK(memcmp(modified + 5 * PAGE, whole + 5 * PAGE, SIZE - 5 * PAGE) == 0);
    CHECK(memcmp(end, whole + SIZE - PAGE, PAGE) == 0);
    return SURVIVED;
}
