/* A file open for reading, one open for writing, one mapped shared, a directory: one of everything that may be missing. */
#include "survive.h"

int main(void) {
    CHECK(mkdir("directory", 0777) == 0 && close(new_file("read", PAGE, 1)) == 0);
    int reader = open("read", O_RDONLY), writer = open("written", O_WRONLY | O_CREAT, 0600);
    int directory = open("directory", O_RDONLY | O_DIRECTORY), shared = new_file("shared", PAGE, 2);
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0), content[PAGE];
    CHECK(reader >= 0 && directory >= 0 && memory != MAP_FAILED && close(shared) == 0);
    ready_and_wait();
    CHECK(read(reader, content, PAGE) == PAGE && is_filled(content, PAGE, 1));
    CHECK(write(writer, "x", 1) == 1 && is_filled(memory, PAGE, 2) && openat(directory, ".", O_PATH) >= 0);
    return SURVIVED;
}
