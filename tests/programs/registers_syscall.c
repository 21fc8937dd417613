/* The registers that a system call keeps, in a program that waits inside raw system calls. */
#include "survive.h"

uint64_t before[12], after[12];

/* Like wait_for_release, but in assembly with all registers in use that a system call does not change. */
void spin(void);
__asm__(".text\n"
        "spin: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov before+0(%rip), %rbx;  mov before+8(%rip), %rdx\n"
        "mov before+16(%rip), %rbp; mov before+24(%rip), %r8\n"
        "mov before+32(%rip), %r9;  mov before+40(%rip), %r10\n"
        "mov before+48(%rip), %r12; mov before+56(%rip), %r13\n"
        "mov before+64(%rip), %r14; mov before+72(%rip), %r15\n"
        "1: lea ping_path(%rip), %rdi; mov $84, %eax; syscall\n"    /* rmdir */
        "lea release_path(%rip), %rdi; xor %esi, %esi; mov $21, %eax; syscall\n" /* access */
        "test %rax, %rax; jnz 1b\n"
        "mov %rbx, after+0(%rip);  mov %rdx, after+8(%rip)\n"
        "mov %rbp, after+16(%rip); mov %r8, after+24(%rip)\n"
        "mov %r9, after+32(%rip);  mov %r10, after+40(%rip)\n"
        "mov %r12, after+48(%rip); mov %r13, after+56(%rip)\n"
        "mov %r14, after+64(%rip); mov %r15, after+72(%rip)\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n");

int main(void) {
    fill(before, 80, 2);
    say_ready();
    spin();
    CHECK(memcmp(before, after, sizeof before) == 0);
    return SURVIVED;
}
