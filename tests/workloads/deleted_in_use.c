/* Files that are deleted while they are in use, open or mapped, wherever that leaves them. */
#include "../programs/survive.h"

int main(void) {
    int fd = new_file("open", PAGE, 1), twin = dup(fd), mapped = new_file("mapped", PAGE, 2), library = new_file("library", PAGE, 3);
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
    char *own = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, library, 0), content[PAGE];
    CHECK(shared != MAP_FAILED && own != MAP_FAILED && close(mapped) == 0 && close(library) == 0);
    CHECK(unlink("open") == 0 && unlink("mapped") == 0 && unlink("library") == 0 && lseek(fd, 10, SEEK_SET) == 10);
    ready_and_wait();
    CHECK(lseek(twin, 0, SEEK_CUR) == 10 && pread(fd, content, PAGE, 0) == PAGE && is_filled(content, PAGE, 1));
    CHECK(write(twin, "more", 4) == 4 && pread(fd, content, 4, 10) == 4 && memcmp(content, "more", 4) == 0);
    CHECK(is_filled(shared, PAGE, 2) && is_filled(own, PAGE, 3));
    CHECK(access("open", F_OK) == -1 && access("mapped", F_OK) == -1 && access("library", F_OK) == -1);
    return SURVIVED;
}
