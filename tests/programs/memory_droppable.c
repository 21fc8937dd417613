/* Memory that the kernel may throw away at any time (MAP_DROPPABLE) is there and empty: the state of a random number generator is
   in it, and two processes from one image must not have the same. */
//# needs: droppable
#include "smaps.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 8
#endif

int main(void) {
    enum { SIZE = 4 * PAGE };
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0), zeros[SIZE] = {0};
    CHECK(memory != MAP_FAILED);
    pid_t before = getpid();
    fill(memory, SIZE, 1);
    ready_and_wait();
    CHECK(has_flag(memory, "dp") && has_flag(memory, "wf") && has_flag(memory, "dd"));
    if (getpid() == before) CHECK(is_filled(memory, SIZE, 1) || memory[0] == 0);
    else CHECK(memcmp(memory, zeros, SIZE) == 0);
    fill(memory, SIZE, 2);
    return SURVIVED;
}
