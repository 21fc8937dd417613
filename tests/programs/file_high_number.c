/* A descriptor with a high number, and the gap below it. */
#include "survive.h"

int main(void) {
    int fd = new_file("data", 8, 33);
    CHECK(dup2(fd, 200) == 200 && close(fd) == 0);
    ready_and_wait();
    CHECK(lseek(200, 0, SEEK_CUR) == 8);
    CHECK(open("data", O_RDONLY) == fd);
    return SURVIVED;
}
