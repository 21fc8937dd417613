/* All general registers, the flags (the direction flag too) and the red zone below the stack pointer. */
#include "survive.h"

enum { REGISTERS = 14, FLAGS = 0xcd5 }; /* CF PF AF ZF SF DF OF */

uint64_t before[REGISTERS], after[REGISTERS], flags_after, stack_before, stack_after, red_zone[2];
volatile uint64_t *word;

/* rcx alone is used for waiting: loading it and jrcxz leave the flags alone. */
void spin(void);
__asm__(".text\n"
        "spin: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, stack_before(%rip)\n"
        "pushq $0xcd5; popfq\n"
        "mov before+0(%rip), %rax;   mov before+8(%rip), %rbx\n"
        "mov before+16(%rip), %rdx;  mov before+24(%rip), %rsi\n"
        "mov before+32(%rip), %rdi;  mov before+40(%rip), %rbp\n"
        "mov before+48(%rip), %r8;   mov before+56(%rip), %r9\n"
        "mov before+64(%rip), %r10;  mov before+72(%rip), %r11\n"
        "mov before+80(%rip), %r12;  mov before+88(%rip), %r13\n"
        "mov before+96(%rip), %r14;  mov before+104(%rip), %r15\n"
        "mov %rax, -8(%rsp); mov %r15, -128(%rsp)\n"
        "1: mov word(%rip), %rcx; mov (%rcx), %rcx; jrcxz 1b\n"
        "mov %rax, after+0(%rip);   mov %rbx, after+8(%rip)\n"
        "mov %rdx, after+16(%rip);  mov %rsi, after+24(%rip)\n"
        "mov %rdi, after+32(%rip);  mov %rbp, after+40(%rip)\n"
        "mov %r8, after+48(%rip);   mov %r9, after+56(%rip)\n"
        "mov %r10, after+64(%rip);  mov %r11, after+72(%rip)\n"
        "mov %r12, after+80(%rip);  mov %r13, after+88(%rip)\n"
        "mov %r14, after+96(%rip);  mov %r15, after+104(%rip)\n"
        "mov %rsp, stack_after(%rip)\n"
        "mov -8(%rsp), %rax; mov %rax, red_zone+0(%rip)\n"
        "mov -128(%rsp), %rax; mov %rax, red_zone+8(%rip)\n"
        "pushfq; popq flags_after(%rip); cld\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n");

int main(void) {
    fill(before, sizeof before, 1);
    word = release_word();
    say_ready();
    spin();
    CHECK(memcmp(before, after, sizeof before) == 0);
    CHECK((flags_after & FLAGS) == FLAGS);
    CHECK(stack_after == stack_before);
    CHECK(red_zone[0] == before[0] && red_zone[1] == before[REGISTERS - 1]);
    return SURVIVED;
}
