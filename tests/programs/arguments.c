/* Arguments, environment and auxiliary vector, in memory and as /proc shows them. */
//# env: FLAVOUR=vanilla
#include "survive.h"
#include <sys/auxv.h>

static size_t read_all(const char *name, char *content, size_t size) {
    int fd = open(name, O_RDONLY);
    size_t length = 0;
    for (ssize_t got; (got = read(fd, content + length, size - length)) > 0;) length += got;
    CHECK(fd >= 0 && close(fd) == 0 && length > 0);
    return length;
}

int main(int count, char **arguments) {
    static const char *const names[] = {"/proc/self/cmdline", "/proc/self/environ", "/proc/self/auxv"};
    static char before[3][PAGE], after[3][PAGE];
    char *name = strdup(arguments[0]);
    for (int i = 0; i < 3; i++) read_all(names[i], before[i], PAGE);
    ready_and_wait();
    for (int i = 0; i < 3; i++) {
        read_all(names[i], after[i], PAGE);
        CHECK(memcmp(before[i], after[i], PAGE) == 0);
    }
    CHECK(count == 1 && strcmp(arguments[0], name) == 0);
    CHECK(strcmp(getenv("FLAVOUR"), "vanilla") == 0);
    CHECK(getauxval(AT_PAGESZ) == PAGE);
    return SURVIVED;
}
