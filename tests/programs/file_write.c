/* A file open for writing: the output goes on where it was. */
#include "survive.h"

int main(void) {
    char content[20];
    int fd = open("data", O_WRONLY | O_CREAT | O_TRUNC, 0666);
    CHECK(write(fd, "first ", 6) == 6);
    ready_and_wait();
    CHECK(write(fd, "second", 6) == 6);
    fd = open("data", O_RDONLY);
    CHECK(read(fd, content, sizeof content) == 12 && memcmp(content, "first second", 12) == 0);
    return SURVIVED;
}
