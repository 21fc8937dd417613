/* The promise to gain no privileges. */
#include "survive.h"
#include <sys/prctl.h>

int main(void) {
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    ready_and_wait();
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    return SURVIVED;
}
