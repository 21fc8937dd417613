// The body of syscall(3), in the place of libc's: it does the same, and leaves the number where a checkpoint finds it. Of a
// call that the signal interrupts in the thread that takes the checkpoint, nothing else tells the number: libc's function has
// it in a register that the call's first argument overwrites.
//
// Called by the program, with up to six arguments behind the number; the sixth is on the stack. There is no frame, so that
// calls that return twice do so as with libc's function. The number stands in the red zone, which signal frames leave alone.

    .cfi_startproc
    .globl ckpt_syscall_behind
    .hidden ckpt_syscall_behind
    .globl ckpt_syscall
    .hidden ckpt_syscall
    cmp     edi, {rt_sigaction}             // calls of which libckpt has to know; kernels look at 32 bits, too
    je      2f
    cmp     edi, {modify_ldt}
    je      2f
    cmp     edi, {prctl}
    je      2f
    cmp     edi, {unshare}
    je      2f
    cmp     edi, {setns}
    je      2f
    cmp     edi, {io_uring_setup}
    je      2f
    cmp     dword ptr [rip + {clocks_differ}], 0
    jne     1f                              // times may have to be translated
ckpt_syscall:                               // how those are made in the end
    mov     rax, rdi
    mov     qword ptr [rsp - {NUMBER_BELOW}], rdi
    mov     rdi, rsi                        // the arguments, each a register further
    mov     rsi, rdx
    mov     rdx, rcx
    mov     r10, r8
    mov     r8, r9
    mov     r9, qword ptr [rsp + 8]
    syscall
ckpt_syscall_behind:
    cmp     rax, -4095                      // the highest error number
    jae     3f
    ret
1:  cmp     edi, {futex}                    // the calls with a time of a clock in them
    je      2f
    cmp     edi, {futex_wait}
    je      2f
    cmp     edi, {futex_waitv}
    je      2f
    cmp     edi, {clock_gettime}
    je      2f
    cmp     edi, {clock_nanosleep}
    je      2f
    cmp     edi, {timerfd_settime}
    je      2f
    cmp     edi, {timer_settime}
    jne     ckpt_syscall
2:  jmp     {in_place}                      // with the same arguments
3:  neg     eax
    push    rax                             // aligns the stack, too
    .cfi_adjust_cfa_offset 8
    call    __errno_location@PLT
    pop     rcx
    .cfi_adjust_cfa_offset -8
    mov     dword ptr [rax], ecx
    mov     rax, -1
    ret
    .cfi_endproc
