/* A mapped file that is large beside all else, of which hardly anything is used. */
#include "../programs/survive.h"

int main(void) {
    const size_t size = (size_t)300 << 20;
    int fd = open("library", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, size) == 0 && pwrite(fd, "used", 4, PAGE) == 4);
    char *library = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(library != MAP_FAILED && close(fd) == 0);
    ready_and_wait();
    CHECK(memcmp(library + PAGE, "used", 4) == 0 && library[size - 1] == 0);
    return SURVIVED;
}
