/* A deleted file whose name is another file's now, which stays as it is; and files that never had a name. */
#include "survive.h"
#include <sys/stat.h>

int main(void) {
    char content[8];
    int old = new_file("data", 8, 1);
    CHECK(unlink("data") == 0);
    int new = new_file("data", 8, 2), never = open(".", O_TMPFILE | O_RDWR, 0600);
    CHECK(old >= 0 && new >= 0 && never >= 0 && write(never, "unnamed", 7) == 7);
    ready_and_wait();
    CHECK(pread(old, content, 8, 0) == 8 && is_filled(content, 8, 1));
    CHECK(pread(new, content, 8, 0) == 8 && is_filled(content, 8, 2));
    CHECK(pread(never, content, 8, 0) == 7 && memcmp(content, "unnamed", 7) == 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", never);
    CHECK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
    struct stat is, by_name;
    CHECK(fstat(never, &is) == 0 && stat("named", &by_name) == 0 && is.st_ino == by_name.st_ino);
    return SURVIVED;
}
