/* A file that was opened twice: two offsets. */
#include "survive.h"

int main(void) {
    int first = new_file("data", PAGE, 31), second = open("data", O_RDONLY);
    CHECK(lseek(first, 5, SEEK_SET) == 5 && lseek(second, 6, SEEK_SET) == 6);
    ready_and_wait();
    CHECK(lseek(first, 0, SEEK_CUR) == 5 && lseek(second, 0, SEEK_CUR) == 6);
    CHECK(lseek(first, 7, SEEK_SET) == 7 && lseek(second, 0, SEEK_CUR) == 6);
    return SURVIVED;
}
