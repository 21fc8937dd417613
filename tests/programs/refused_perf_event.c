/* A performance counter. */
//# refused: performance counter
//# needs: perf_event
#include "survive.h"
#include <linux/perf_event.h>
#include <sys/syscall.h>

int main(void) {
    struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .exclude_kernel = 1};
    int fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
    CHECK(fd >= 0);
    ready_and_wait();
    CHECK(close(fd) == 0);
    return SURVIVED;
}
