/* A segment that the program has made for itself, far behind in its table. */
//# needs: modify_ldt
//# refused: modify_ldt
#include "survive.h"
#include <asm/ldt.h>
#include <sys/syscall.h>

int main(void) {
    enum { WRITE = 0x11, PLACE = 8000 };
    struct user_desc segment = {.entry_number = PLACE, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1};
    CHECK(syscall(SYS_modify_ldt, WRITE, &segment, sizeof segment) == 0);
    ready_and_wait();
    return SURVIVED;
}
