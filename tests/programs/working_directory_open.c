/* A working directory that was deleted, and is open as well: one directory, with its permissions. */
//# env: CKPT_FILE=../myckpt
#include "survive.h"

int main(void) {
    struct stat entered, open_;
    CHECK(mkdir("inner", 0755) == 0 && chmod("inner", 0755) == 0 && chdir("inner") == 0);
    int directory = open(".", O_RDONLY | O_DIRECTORY);
    CHECK(directory >= 0 && rmdir("../inner") == 0);
    ready_and_wait();
    CHECK(stat(".", &entered) == 0 && fstat(directory, &open_) == 0 && entered.st_nlink == 0);
    CHECK(entered.st_ino == open_.st_ino && entered.st_dev == open_.st_dev && (entered.st_mode & 07777) == 0755);
    return SURVIVED;
}
