/* A lock on the directory into which the image goes, as `flock DIRECTORY program` takes it. */
#include "survive.h"
#include <sys/file.h>

int main(void) {
    int directory = open(".", O_RDONLY | O_DIRECTORY), other = open(".", O_RDONLY | O_DIRECTORY);
    CHECK(flock(directory, LOCK_EX) == 0);
    ready_and_wait();
    CHECK(flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK);
    CHECK(flock(directory, LOCK_UN) == 0 && flock(other, LOCK_EX | LOCK_NB) == 0);
    return SURVIVED;
}
