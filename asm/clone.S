# Creates a thread that begins in the pad, or a process that shares our memory.
#
# Called by: restorer/src/clone.rs and filler.rs, as create_thread(number of the call, its five arguments, address to begin at) in the
# C calling convention; result in rax as the kernel has put it there. Address space: the restorer's and, beside it, the
# program's memory and the pad.
#
# Both threads come back from the system call with the same registers but rax and rsp. The new one has no stack, only its
# slot in the pad at rsp, so it can do nothing but jump; it leaves this code before stage 2 removes it, since the
# creator waits until all have arrived.

    .section .text.create_thread, "ax", @progbits
    .balign 16
    .globl create_thread
    .hidden create_thread
    .type create_thread, @function
create_thread:
    mov eax, edi                                # which call: clone or clone3
    mov r9, rdx                                 # where the thread begins: no argument of either, and kept by the kernel
    mov rdi, [rsi]                              # flags, or the struct of clone3
    mov rdx, [rsi + 16]                         # third
    mov r10, [rsi + 24]                         # fourth: not rcx, which the instruction overwrites
    mov r8, [rsi + 32]                          # fifth
    mov rsi, [rsi + 8]                          # second, last because it replaces the pointer to all of them
    syscall
    test rax, rax                               # 0 in the new thread
    jz .Lcreate_thread_new
    ret                                         # the id of the new thread, or the error
.Lcreate_thread_new:
    jmp r9                                      # it never comes back
    .size create_thread, . - create_thread
