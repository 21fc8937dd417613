/* A lock taken by flock: whoever opens the file anew is kept out. */
#include "survive.h"
#include <sys/file.h>

int main(void) {
    int fd = new_file("data", 8, 35);
    CHECK(flock(fd, LOCK_EX) == 0);
    ready_and_wait();
    int other = open("data", O_RDWR);
    CHECK(flock(other, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK);
    CHECK(flock(fd, LOCK_UN) == 0 && flock(other, LOCK_SH | LOCK_NB) == 0);
    return SURVIVED;
}
