/* The x87 unit: control word (precision, rounding, masks), status, tags and the register stack. */
#include "survive.h"

/* What fnsave stores in 64-bit mode; the instruction pointers are left out of the comparison. */
struct x87 {
    uint16_t control, pad0, status, pad1, tags, pad2;
    uint8_t pointers[16], stack[80];
};

int main(void) {
    struct x87 before, after;
    uint16_t control = 0x0c7f & ~0x0300; /* truncate, single precision */
    volatile uint64_t *word = release_word();
    say_ready();
    __asm__ volatile("fninit; fldcw %[control]; fldpi; fldl2e; fld1; fldz; fldz; fdivp\n" /* 0/0: invalid */
                     "fnsave %[before]; frstor %[before]\n"
                     "1: mov (%[word]), %%rcx; jrcxz 1b\n"
                     "fnsave %[after]\n"
                     : [before] "=m"(before), [after] "=m"(after)
                     : [word] "r"(word), [control] "m"(control)
                     : "rcx", "memory");
    CHECK(after.control == before.control && after.control == control);
    CHECK(after.status == before.status && (after.status & 1));
    CHECK(after.tags == before.tags);
    CHECK(memcmp(after.stack, before.stack, sizeof after.stack) == 0);
    return SURVIVED;
}
