/* General registers, flags and red zone of threads that spin without a system call, each with its own values. */
//# cflags: -pthread
#include "thread.h"

enum { COUNT = 3, REGISTERS = 14, FLAGS = 0xcd5 }; /* CF PF AF ZF SF DF OF */

/* Thread-local, so that no register is needed for their address. */
__thread uint64_t before[REGISTERS], after[REGISTERS], flags_after, stack_before, stack_after, red_zone[2];
__thread volatile uint64_t word;

/* rcx alone is used for waiting: loading it and jrcxz leave the flags alone. */
void spin(void);
__asm__(".text\n"
        "spin: push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, %fs:stack_before@tpoff\n"
        "pushq $0xcd5; popfq\n"
        "mov %fs:before@tpoff+0, %rax;   mov %fs:before@tpoff+8, %rbx\n"
        "mov %fs:before@tpoff+16, %rdx;  mov %fs:before@tpoff+24, %rsi\n"
        "mov %fs:before@tpoff+32, %rdi;  mov %fs:before@tpoff+40, %rbp\n"
        "mov %fs:before@tpoff+48, %r8;   mov %fs:before@tpoff+56, %r9\n"
        "mov %fs:before@tpoff+64, %r10;  mov %fs:before@tpoff+72, %r11\n"
        "mov %fs:before@tpoff+80, %r12;  mov %fs:before@tpoff+88, %r13\n"
        "mov %fs:before@tpoff+96, %r14;  mov %fs:before@tpoff+104, %r15\n"
        "mov %rax, -8(%rsp); mov %r15, -128(%rsp)\n"
        "1: mov %fs:word@tpoff, %rcx; jrcxz 1b\n"
        "mov %rax, %fs:after@tpoff+0;   mov %rbx, %fs:after@tpoff+8\n"
        "mov %rdx, %fs:after@tpoff+16;  mov %rsi, %fs:after@tpoff+24\n"
        "mov %rdi, %fs:after@tpoff+32;  mov %rbp, %fs:after@tpoff+40\n"
        "mov %r8, %fs:after@tpoff+48;   mov %r9, %fs:after@tpoff+56\n"
        "mov %r10, %fs:after@tpoff+64;  mov %r11, %fs:after@tpoff+72\n"
        "mov %r12, %fs:after@tpoff+80;  mov %r13, %fs:after@tpoff+88\n"
        "mov %r14, %fs:after@tpoff+96;  mov %r15, %fs:after@tpoff+104\n"
        "mov %rsp, %fs:stack_after@tpoff\n"
        "mov -8(%rsp), %rax; mov %rax, %fs:red_zone@tpoff+0\n"
        "mov -128(%rsp), %rax; mov %rax, %fs:red_zone@tpoff+8\n"
        "pushfq; popq %fs:flags_after@tpoff; cld\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n");

struct spinner {
    struct thread thread;
    uint64_t seed;
    volatile uint64_t *word;
    int ready;
};

static void *fill_and_spin(void *argument) {
    struct spinner *spinner = argument;
    fill(before, sizeof before, spinner->seed);
    spinner->word = &word;
    set(&spinner->ready);
    spin();
    CHECK(memcmp(before, after, sizeof before) == 0 && is_filled(after, sizeof after, spinner->seed));
    CHECK((flags_after & FLAGS) == FLAGS);
    CHECK(stack_after == stack_before);
    CHECK(red_zone[0] == before[0] && red_zone[1] == before[REGISTERS - 1]);
    return NULL;
}

int main(void) {
    static struct spinner spinners[COUNT];
    for (int i = 0; i < COUNT; i++) {
        spinners[i].seed = (uint64_t)i + 50;
        start(&spinners[i].thread, fill_and_spin, &spinners[i]);
    }
    for (int i = 0; i < COUNT; i++) wait_until_set(&spinners[i].ready);
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        *spinners[i].word = 1;
        finish(&spinners[i].thread);
    }
    return SURVIVED;
}
