/* A directory that was deleted while it is open, and a deleted file in it. */
#include "survive.h"
#include <dirent.h>

int main(void) {
    char content[8];
    CHECK(mkdir("inner", 0750) == 0);
    int directory = open("inner", O_RDONLY | O_DIRECTORY), file = new_file("inner/data", 8, 3);
    CHECK(unlink("inner/data") == 0 && rmdir("inner") == 0);
    ready_and_wait();
    struct stat stat;
    CHECK(fstat(directory, &stat) == 0 && S_ISDIR(stat.st_mode) && (stat.st_mode & 07777) == 0750);
    CHECK(openat(directory, "new", O_RDWR | O_CREAT, 0600) == -1 && errno == ENOENT);
    CHECK(pread(file, content, 8, 0) == 8 && is_filled(content, 8, 3));
    DIR *listing = fdopendir(directory);
    CHECK(listing && !readdir(listing) && access("inner", F_OK) == -1);
    return SURVIVED;
}
