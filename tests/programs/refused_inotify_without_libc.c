/* A watch that was added without libc: nobody knows its path. */
//# refused: cannot be reached by the path
#include "survive.h"
#include <sys/inotify.h>
#include <sys/syscall.h>

static long add_watch(long fd, const char *path, long mask) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_inotify_add_watch), "D"(fd), "S"(path), "d"(mask) : "rcx", "r11", "memory");
    return result;
}

int main(void) {
    int fd = inotify_init();
    CHECK(fd >= 0 && mkdir("watched", 0777) == 0 && add_watch(fd, "watched", IN_CREATE) > 0);
    ready_and_wait();
    CHECK(close(fd) == 0);
    return SURVIVED;
}
