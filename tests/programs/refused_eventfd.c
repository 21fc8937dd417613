/* An eventfd. */
//# refused: eventfd
#include "survive.h"
#include <sys/eventfd.h>

int main(void) {
    int fd = eventfd(7, 0);
    uint64_t value;
    CHECK(fd >= 0);
    ready_and_wait();
    CHECK(read(fd, &value, 8) == 8 && value == 7);
    return SURVIVED;
}
