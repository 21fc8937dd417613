/* A fanotify group. */
//# refused: fanotify
//# needs: fanotify
#include "survive.h"
#include <sys/fanotify.h>

int main(void) {
    int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, 0);
    CHECK(fd >= 0);
    ready_and_wait();
    CHECK(close(fd) == 0);
    return SURVIVED;
}
