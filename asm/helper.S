# Where a process begins that helps the restorer to fill memory.
#
# Entered by: a jump of create_thread (clone.S), in a new process that shares the restorer's memory, on a stack of its own
# whose top holds the one argument. Registers: only rsp counts. Address space: stage 1's.

    .section .text.helper_begin, "ax", @progbits
    .balign 16
    .globl helper_begin
    .hidden helper_begin
    .type helper_begin, @function
helper_begin:
    mov rdi, [rsp]                              # the argument; the stack is aligned as the ABI wants it at a call
    call {help}                                 # it ends the process
    ud2
    .size helper_begin, . - helper_begin
