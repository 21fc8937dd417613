// Where a thread that the program creates begins.
//
// Called by libc in the new thread, as a start routine with one argument: the address of its struct Slot
// (libckpt/src/alternate.rs). Nothing of ours stays on the stack: the program's own start routine is entered by a jump, as
// though libc had called it, so that backtraces, unwinding and cancellation see what they would see without libckpt.

    .text
    .balign 16
    .globl ckpt_thread_start
    .hidden ckpt_thread_start
    .type ckpt_thread_start, @function
ckpt_thread_start:
    .cfi_startproc
    sub     rsp, 8                          // the ABI wants 16-byte alignment at a call
    .cfi_adjust_cfa_offset 8
    call    {begin}                         // (slot); returns routine and argument in rax and rdx
    add     rsp, 8                          // as libc's call left it
    .cfi_adjust_cfa_offset -8
    mov     rdi, rdx                        // what the program wanted its routine to get
    jmp     rax                             // which returns to libc
    .cfi_endproc
    .size ckpt_thread_start, . - ckpt_thread_start
