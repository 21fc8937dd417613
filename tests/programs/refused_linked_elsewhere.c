/* Shared memory of a file whose only name is in another directory: as root, who is told that it has one. */
//# needs: root
//# refused: has another name now
#include "survive.h"

int main(void) {
    int fd = new_file("first name", PAGE, 1);
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED && close(fd) == 0);
    CHECK(mkdir("elsewhere", 0777) == 0 && link("first name", "elsewhere/name") == 0 && unlink("first name") == 0);
    ready_and_wait();
    strcpy(memory, "seen");
    char found[8] = "";
    CHECK((fd = open("elsewhere/name", O_RDONLY)) >= 0 && read(fd, found, 4) == 4 && strcmp(found, "seen") == 0);
    return SURVIVED;
}
