/* The limit of the stack that the program has set itself. */
#include "survive.h"
#include <sys/resource.h>

int main(void) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    limit.rlim_cur = 5 << 20;
    CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
    ready_and_wait();
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur == 5 << 20);
    return SURVIVED;
}
