/* Hundreds of openings of one file that all look the same, every third of which has another descriptor. */
#include "survive.h"

enum { OPENINGS = 600 };

int main(void) {
    int openings[OPENINGS], copies[OPENINGS];
    CHECK(close(new_file("data", 1, 1)) == 0);
    for (int i = 0; i < OPENINGS; i++) {
        CHECK((openings[i] = open("data", O_RDWR)) >= 0);
        if (i % 3 == 0) CHECK((copies[i] = dup(openings[i * 7 % (i + 1) / 3 * 3])) >= 0);
    }
    ready_and_wait();
    for (int i = 0; i < OPENINGS; i++) CHECK(lseek(openings[i], i + 1, SEEK_SET) == i + 1);
    for (int i = 0; i < OPENINGS; i++) {
        CHECK(lseek(openings[i], 0, SEEK_CUR) == i + 1);
        if (i % 3 == 0) CHECK(lseek(copies[i], 0, SEEK_CUR) == i * 7 % (i + 1) / 3 * 3 + 1);
    }
    return SURVIVED;
}
