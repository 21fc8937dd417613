/* A segment of the program's own. */
//# refused: modify_ldt
#include "survive.h"
#include <asm/ldt.h>
#include <sys/syscall.h>

int main(void) {
    struct user_desc data = {.entry_number = 0, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1};
    CHECK(syscall(SYS_modify_ldt, 1, &data, sizeof data) == 0);
    ready_and_wait();
    char table[64];
    CHECK(syscall(SYS_modify_ldt, 0, table, sizeof table) > 0);
    return SURVIVED;
}
