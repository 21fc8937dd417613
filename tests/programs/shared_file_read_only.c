/* A shared mapping of a file that was opened for reading, as in every program with a UTF-8 locale. */
#include "survive.h"

int main(void) {
    enum { SIZE = 7 * PAGE + 100 };
    CHECK(close(new_file("data", SIZE, 18)) == 0);
    int fd = open("data", O_RDONLY);
    char *mapping = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(mapping != MAP_FAILED && close(fd) == 0);
    ready_and_wait();
    CHECK(is_filled(mapping, SIZE, 18));
    CHECK(mprotect(mapping, SIZE, PROT_READ | PROT_WRITE) != 0 && errno == EACCES);
    return SURVIVED;
}
