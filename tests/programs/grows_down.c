/* A region of the program's own that grows downwards when it is used. */
#include "survive.h"

int main(void) {
    enum { ROOM = 4 << 20 };
    char *room = map(ROOM, PROT_NONE);
    CHECK(munmap(room, ROOM) == 0);
    char *top = mmap(room + ROOM - PAGE, PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    CHECK(top != MAP_FAILED);
    fill(top, PAGE, 40);
    ready_and_wait();
    CHECK(is_filled(top, PAGE, 40));
    for (int page = 1; page < 100; page++) top[-page * PAGE] = (char)page;
    return SURVIVED;
}
