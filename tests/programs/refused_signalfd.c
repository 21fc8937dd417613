/* A signalfd. */
//# refused: signalfd
#include "survive.h"
#include <signal.h>
#include <sys/signalfd.h>

int main(void) {
    sigset_t set;
    sigemptyset(&set);
    int fd = signalfd(-1, &set, 0);
    CHECK(fd >= 0);
    ready_and_wait();
    CHECK(close(fd) == 0);
    return SURVIVED;
}
