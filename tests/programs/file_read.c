/* A file open for reading: its offset and content. */
#include "survive.h"

int main(void) {
    char content[PAGE];
    CHECK(close(new_file("data", PAGE, 28)) == 0);
    int fd = open("data", O_RDONLY);
    CHECK(read(fd, content, 1000) == 1000);
    ready_and_wait();
    CHECK(lseek(fd, 0, SEEK_CUR) == 1000);
    CHECK(read(fd, content + 1000, PAGE - 1000) == PAGE - 1000 && is_filled(content, PAGE, 28));
    CHECK(write(fd, content, 1) == -1 && errno == EBADF);
    return SURVIVED;
}
