/* A directory whose changes the kernel has told the program of: it is told of none after a restart, and goes on. */
#include "survive.h"
#include <signal.h>

int main(void) {
    sigset_t told;
    sigemptyset(&told), sigaddset(&told, SIGIO);
    CHECK(sigprocmask(SIG_BLOCK, &told, NULL) == 0 && mkdir("inner", 0777) == 0);
    int directory = open("inner", O_RDONLY | O_DIRECTORY);
    CHECK(directory >= 0 && fcntl(directory, F_NOTIFY, DN_CREATE | DN_MULTISHOT) == 0);
    ready_and_wait();
    /* It can ask again. */
    CHECK(fcntl(directory, F_NOTIFY, DN_CREATE) == 0 && close(openat(directory, "file", O_WRONLY | O_CREAT, 0666)) == 0);
    struct timespec soon = {.tv_sec = 10};
    CHECK(sigtimedwait(&told, NULL, &soon) == SIGIO);
    return SURVIVED;
}
