/* A named pipe that was deleted. */
//# refused: the file cannot be reached by this name any more
#include "survive.h"

int main(void) {
    CHECK(mkfifo("pipe", 0600) == 0);
    int fd = open("pipe", O_RDWR);
    CHECK(fd >= 0 && unlink("pipe") == 0 && write(fd, "x", 1) == 1);
    ready_and_wait();
    char byte;
    CHECK(read(fd, &byte, 1) == 1 && byte == 'x');
    return SURVIVED;
}
