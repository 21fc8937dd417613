/* The name of the program as set by prctl. */
#include "survive.h"
#include <sys/prctl.h>

int main(void) {
    char name[16];
    CHECK(prctl(PR_SET_NAME, "another (name)") == 0);
    ready_and_wait();
    CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "another (name)") == 0);
    return SURVIVED;
}
