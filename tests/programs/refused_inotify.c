/* An inotify set. */
//# refused: inotify
#include "survive.h"
#include <sys/inotify.h>

int main(void) {
    int fd = inotify_init();
    CHECK(fd >= 0 && inotify_add_watch(fd, ".", IN_CREATE) > 0);
    ready_and_wait();
    CHECK(close(fd) == 0);
    return SURVIVED;
}
