/* Files whose names have spaces, newlines, and the words that /proc adds to the names of deleted files. */
#include "survive.h"

int main(void) {
    static const char *const names[] = {"a b", "line\nbreak", "gone (deleted)", "back\\slash", "\xff\xfe"};
    int fds[5];
    for (int i = 0; i < 5; i++) fds[i] = new_file(names[i], 16, i);
    char *mapping = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fds[1], 0);
    CHECK(mapping != MAP_FAILED);
    ready_and_wait();
    for (int i = 0; i < 5; i++) {
        char content[16];
        CHECK(pread(fds[i], content, 16, 0) == 16 && is_filled(content, 16, i));
    }
    CHECK(is_filled(mapping, 16, 1));
    return SURVIVED;
}
