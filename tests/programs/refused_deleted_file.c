/* A file that is open and deleted. */
//# refused: deleted
#include "survive.h"

int main(void) {
    char content[8];
    int fd = new_file("data", 8, 41);
    CHECK(unlink("data") == 0);
    ready_and_wait();
    CHECK(pread(fd, content, 8, 0) == 8 && is_filled(content, 8, 41));
    return SURVIVED;
}
