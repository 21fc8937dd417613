/* A file below /proc that tells of another process. */
//# refused: it tells of another process
#include "survive.h"

int main(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", getppid());
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    ready_and_wait();
    CHECK(read(fd, path, sizeof path) > 0);
    return SURVIVED;
}
