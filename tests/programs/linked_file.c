/* Files that have another name than the one they were opened by, mapped or open: what the program writes reaches whoever opens them. */
//# memory: changes
#include "survive.h"

enum { SIZE = 2 * PAGE };

static char *shared(int fd) {
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* A file that was linked to `name`, and has lost its own. */
static int moved(const char *name) {
    int fd = new_file("first name", SIZE, 1);
    CHECK(link("first name", name) == 0 && unlink("first name") == 0);
    return fd;
}

/* The file of this name as another process has it. */
static void finds(const char *name, const char *text) {
    char found[16] = "";
    int fd = open(name, O_RDONLY);
    CHECK(fd >= 0 && pread(fd, found, strlen(text), 0) == (ssize_t)strlen(text) && strcmp(found, text) == 0);
    CHECK(close(fd) == 0);
}

int main(void) {
    char path[64];
    int fd = moved("mapped\nand linked");
    char *linked = shared(fd);
    CHECK(close(fd) == 0);

    CHECK((fd = open(".", O_RDWR | O_TMPFILE, 0600)) >= 0 && ftruncate(fd, SIZE) == 0);
    char *never_named = shared(fd);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK(linkat(AT_FDCWD, path, AT_FDCWD, "named late", AT_SYMLINK_FOLLOW) == 0 && close(fd) == 0);

    int open_only = moved("open"), both = moved("open and mapped");
    char *mapped_too = shared(both);
    CHECK(lseek(open_only, 5, SEEK_SET) == 5);

    ready_and_wait();
    CHECK(is_filled(linked, SIZE, 1) && is_filled(mapped_too, SIZE, 1));
    strcpy(linked, "one"), strcpy(never_named, "two"), strcpy(mapped_too, "three");
    CHECK(lseek(open_only, 0, SEEK_CUR) == 5 && pwrite(open_only, "four", 4, 0) == 4);
    finds("mapped\nand linked", "one"), finds("named late", "two");
    finds("open and mapped", "three"), finds("open", "four");
    CHECK(pwrite(both, "five", 4, 0) == 4 && memcmp(mapped_too, "five", 4) == 0);
    return SURVIVED;
}
