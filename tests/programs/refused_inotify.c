/* A watch on a file that has another name by now. */
//# refused: cannot be reached by the path
#include "survive.h"
#include <sys/inotify.h>

int main(void) {
    int fd = inotify_init();
    CHECK(fd >= 0 && mkdir("before", 0777) == 0 && inotify_add_watch(fd, "before", IN_CREATE) > 0);
    CHECK(rename("before", "after") == 0);
    ready_and_wait();
    CHECK(close(fd) == 0);
    return SURVIVED;
}
