/* A lease that somebody waits for the program to give up. */
//# refused: give up its lease
#include "survive.h"
#include <signal.h>

int main(void) {
    int file = new_file("data", 8, 1);
    CHECK(signal(SIGIO, SIG_IGN) != SIG_ERR && fcntl(file, F_SETLEASE, F_WRLCK) == 0);
    CHECK(open("data", O_RDONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
    ready_and_wait();
    CHECK(fcntl(file, F_SETLEASE, F_UNLCK) == 0 && open("data", O_RDONLY | O_NONBLOCK) >= 0);
    return SURVIVED;
}
