/* Five thousand regions, neighbours that differ in their protection. */
#include "survive.h"

int main(void) {
    enum { REGIONS = 5000 };
    char *memory = map((size_t)REGIONS * PAGE, PROT_READ | PROT_WRITE);
    for (int i = 0; i < REGIONS; i++) *(int *)(memory + i * PAGE) = i;
    for (int i = 0; i < REGIONS; i += 2) CHECK(mprotect(memory + i * PAGE, PAGE, PROT_READ) == 0);
    ready_and_wait();
    for (int i = 0; i < REGIONS; i++) CHECK(*(int *)(memory + i * PAGE) == i);
    for (int i = 1; i < REGIONS; i += 2) memory[i * PAGE] = 1;
    return SURVIVED;
}
