/* A file open for appending. */
#include "survive.h"

int main(void) {
    char content[20];
    CHECK(close(new_file("data", 8, 29)) == 0);
    int fd = open("data", O_RDWR | O_APPEND);
    CHECK(fcntl(fd, F_GETFL) & O_APPEND);
    ready_and_wait();
    CHECK((fcntl(fd, F_GETFL) & (O_APPEND | O_ACCMODE)) == (O_APPEND | O_RDWR));
    CHECK(write(fd, "end", 3) == 3);
    CHECK(pread(fd, content, sizeof content, 0) == 11 && memcmp(content + 8, "end", 3) == 0);
    return SURVIVED;
}
