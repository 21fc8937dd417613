/* A private mapping that is longer than its file: the part behind the end stays a bus error. */
#include "survive.h"
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf before_access;

static void on_bus_error(int signal) {
    (void)signal;
    siglongjmp(before_access, 1);
}

int main(void) {
    int fd = new_file("data", PAGE, 15);
    char *mapping = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(mapping != MAP_FAILED && close(fd) == 0);
    signal(SIGBUS, on_bus_error);
    ready_and_wait();
    CHECK(is_filled(mapping, PAGE, 15));
    if (sigsetjmp(before_access, 1) == 0) FAIL("read %d behind the end", ((volatile char *)mapping)[2 * PAGE]);
    return SURVIVED;
}
