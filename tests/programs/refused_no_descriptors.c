/* A program that has used up its descriptors: libckpt needs a few. */
//# refused: EMFILE
#include "survive.h"
#include <sys/resource.h>

int main(void) {
    const struct rlimit limit = {64, 64};
    int last = -1, fd;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while ((fd = open("/dev/null", O_RDONLY)) >= 0) last = fd;
    CHECK(errno == EMFILE);
    ready_and_wait();
    CHECK(fcntl(last, F_GETFD) == 0 && open("/dev/null", O_RDONLY) == -1 && errno == EMFILE);
    return SURVIVED;
}
