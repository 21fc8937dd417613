/* A program that has put a file of its own in the place of stderr finds nothing in it but what it has written. */
#include "survive.h"

int main(void) {
    int fd = open("own", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && dup2(fd, 2) == 2 && close(fd) == 0 && dprintf(2, "own") == 3);
    ready_and_wait();
    struct stat stat;
    CHECK(fstat(2, &stat) == 0 && stat.st_size == 3 && lseek(2, 0, SEEK_CUR) == 3);
    return SURVIVED;
}
