/* More data in deleted files than the setting allows. */
//# env: CKPT_DELETED=64K
//# refused: CKPT_DELETED
#include "survive.h"

int main(void) {
    char content[8];
    int first = new_file("first", 40 << 10, 41), second = new_file("second", 40 << 10, 42);
    CHECK(unlink("first") == 0 && unlink("second") == 0);
    ready_and_wait();
    CHECK(pread(first, content, 8, 0) == 8 && is_filled(content, 8, 41));
    CHECK(pread(second, content, 8, 0) == 8 && is_filled(content, 8, 42));
    return SURVIVED;
}
