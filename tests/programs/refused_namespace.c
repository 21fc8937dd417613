/* A namespace that the program has made for itself: it would be outside of it afterwards. */
//# needs: root
//# refused: a namespace of its own (uts
#include "survive.h"

int main(void) {
    CHECK(unshare(CLONE_NEWUTS) == 0 && sethostname("inside", 6) == 0);
    ready_and_wait();
    char name[64];
    CHECK(gethostname(name, sizeof name) == 0 && strcmp(name, "inside") == 0);
    return SURVIVED;
}
