/* Memory with a protection key. */
//# refused: protection keys
//# needs: ospke
#include "survive.h"

int main(void) {
    char *memory = map(PAGE, PROT_READ | PROT_WRITE);
    int key = pkey_alloc(0, 0);
    CHECK(key > 0 && pkey_mprotect(memory, PAGE, PROT_READ | PROT_WRITE, key) == 0);
    ready_and_wait();
    CHECK(pkey_mprotect(memory, PAGE, PROT_READ | PROT_WRITE, 0) == 0 && pkey_free(key) == 0);
    return SURVIVED;
}
