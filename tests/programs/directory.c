/* An open directory: what is left of its listing, and openat. */
#include "survive.h"
#include <dirent.h>

int main(void) {
    CHECK(mkdir("inner", 0777) == 0);
    for (int i = 0; i < 5; i++) CHECK(close(new_file((char[]){'i', 'n', 'n', 'e', 'r', '/', 'a' + i, 0}, 8, i)) == 0);
    int fd = open("inner", O_RDONLY | O_DIRECTORY);
    DIR *listing = opendir("inner");
    int seen = 0;
    CHECK(fd >= 0 && listing);
    for (int i = 0; i < 3; i++) CHECK(readdir(listing) && ++seen);
    ready_and_wait();
    while (readdir(listing)) seen++;
    CHECK(seen == 7);
    CHECK(openat(fd, "c", O_RDONLY) >= 0);
    return SURVIVED;
}
