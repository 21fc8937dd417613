/* Calls functions of libc, each for the first time, while another thread loads the library that is named, whose constructor waits
   for the release. */
//# cflags: -pthread
#include "../programs/thread.h"
#include <dlfcn.h>
#include <poll.h>

static void *load(void *name) {
    CHECK(dlopen((const char *)name, RTLD_NOW));
    return NULL;
}

int main(int count, char **arguments) {
    struct thread thread;
    CHECK(count == 2);
    start(&thread, load, arguments[1]);
    while (access(ready_path, F_OK) != 0) sched_yield();
    CHECK(poll(NULL, 0, 1) == 0 && usleep(1) == 0);
    sigset_t mask;
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && signal(SIGUSR1, SIG_IGN) == SIG_DFL);
    CHECK(mkdir(release_path, 0777) == 0);
    finish(&thread);
    return SURVIVED;
}
