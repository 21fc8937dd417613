// Stands in front of the program's signal handlers. See libckpt/src/handlers.rs.
//
// Called by the kernel in place of a handler, with its three arguments in rdi, rsi and rdx, on the stack that the handler
// has; the return address is the trampoline that calls rt_sigreturn. Leaves to the handler by a jump, all as it was, or on another
// stack (see libckpt/src/own_stack.rs): no frame remains through which anybody would have to unwind. A program that has its address, by a system call or from
// a library that stands in front of libc, may call it as it would the handler.

    .text

// One for each handler: they differ in the place where its address is. {SIZE} bytes each.
    .balign 16
    .globl ckpt_stand_ins
    .hidden ckpt_stand_ins
    .type ckpt_stand_ins, @function
ckpt_stand_ins:
    .cfi_startproc
    .set    ckpt_stand_in, 0
    .rept   {COUNT}
    .balign {SIZE}
    endbr64                                 // the kernel jumps here
    lea     r11, [rip + {handlers} + 8 * ckpt_stand_in]
    jmp     ckpt_before_handler
    .set    ckpt_stand_in, ckpt_stand_in + 1
    .endr
    .balign {SIZE}
    .cfi_endproc
    .size ckpt_stand_ins, . - ckpt_stand_ins

    .type ckpt_before_handler, @function
ckpt_before_handler:
    .cfi_startproc
    lea     rax, [rsp + 8]                  // the kernel puts the ucontext there (struct rt_sigframe in asm/sigframe.h);
    cmp     rax, rdx                        // for anybody else, rdx may be anything
    jne     1f
    cmp     edi, dword ptr [rip + {claimed}]
    je      2f                              // it may ask for a checkpoint
    mov     rax, rsp
    sub     rax, qword ptr [rdx + {STACK_START}]
    cmp     rax, qword ptr [rdx + {STACK_SIZE}]
    jb      2f                              // this is an alternate stack, and maybe libckpt's
    mov     rax, qword ptr [rdx + {RCX}]    // the syscall instruction leaves the address behind itself there
    sub     rax, qword ptr [rdx + {RIP}]
    jz      2f                              // the signal has come right behind a system call
    cmp     rax, 2
    je      2f                              // or right before one that is made again
1:  xor     eax, eax                        // as the kernel calls handlers
    jmp     qword ptr [r11]
2:  push    rdi
    .cfi_adjust_cfa_offset 8
    push    rsi
    .cfi_adjust_cfa_offset 8
    push    rdx
    .cfi_adjust_cfa_offset 8
    push    r11
    .cfi_adjust_cfa_offset 8
    sub     rsp, 8                          // the ABI wants 16-byte alignment at a call
    .cfi_adjust_cfa_offset 8
    call    {before_handler}                // (signal, siginfo, ucontext)
    add     rsp, 8
    .cfi_adjust_cfa_offset -8
    pop     r11
    .cfi_adjust_cfa_offset -8
    pop     rdx
    .cfi_adjust_cfa_offset -8
    pop     rsi
    .cfi_adjust_cfa_offset -8
    pop     rdi
    .cfi_adjust_cfa_offset -8
    test    rax, rax
    jz      1b
    cmp     rax, {RETURNS}
    je      3f
    cmp     rax, {CHECKPOINT}
    je      {checkpoint}                    // as though the kernel had called that
    sub     rsi, rdx                        // the frame was moved, and with it the siginfo;
    add     rsi, rax
    mov     rdx, rax
    lea     rsp, [rax - 8]                  // the handler finds it as the kernel would have made it
    jmp     1b
3:  ret
    .cfi_endproc
    .size ckpt_before_handler, . - ckpt_before_handler
