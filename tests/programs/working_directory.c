/* The working directory. The name of the image is relative to it. */
//# env: CKPT_FILE=../myckpt
#include "survive.h"

int main(void) {
    char before[PAGE], after[PAGE];
    CHECK(mkdir("inner", 0777) == 0 && close(new_file("inner/file", 8, 1)) == 0);
    CHECK(chdir("inner") == 0 && getcwd(before, sizeof before));
    ready_and_wait();
    CHECK(getcwd(after, sizeof after) && strcmp(before, after) == 0);
    CHECK(access("file", R_OK) == 0);
    return SURVIVED;
}
