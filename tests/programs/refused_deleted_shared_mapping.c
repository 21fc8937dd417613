/* A shared mapping of a file that was deleted. */
//# refused: data
#include "survive.h"

int main(void) {
    int fd = new_file("data", PAGE, 42);
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED && close(fd) == 0 && unlink("data") == 0);
    ready_and_wait();
    CHECK(is_filled(memory, PAGE, 42));
    return SURVIVED;
}
