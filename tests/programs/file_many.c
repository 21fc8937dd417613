/* Five hundred open files. */
#include "survive.h"

int main(void) {
    enum { FILES = 500 };
    static int fds[FILES];
    char name[20];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "data%d", i);
        CHECK(lseek(fds[i] = new_file(name, 1024, i), i, SEEK_SET) == i);
    }
    ready_and_wait();
    for (int i = 0; i < FILES; i++) CHECK(lseek(fds[i], 0, SEEK_CUR) == i);
    return SURVIVED;
}
