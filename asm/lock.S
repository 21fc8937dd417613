// The body of a function that uses a lock, in front of libc's: if words of locks are waiting for their owners' new ids, those of this
// lock are settled first. See libckpt/src/locks.rs.
//
// Called by the program, with up to four arguments. There is no frame, and nothing happens behind libc's function, which may
// be a cancellation point.

    .cfi_startproc
    mov     rax, qword ptr [rip + {next} + {ADDRESS}]
    cmp     dword ptr [rip + {left}], 0
    jne     2f
1:  test    rax, rax
    jz      3f
    .if     {LOCK} == 1                     // a wait for a condition, with a mutex that libc takes again
    mov     r11, qword ptr [rip + ckpt_thread_block@GOTTPOFF]
    mov     r10, qword ptr [rsp]
    mov     qword ptr fs:[r11 + {CONDITION_MUTEX}], rsi
    mov     qword ptr fs:[r11 + {CONDITION_STACK}], rsp
    mov     qword ptr fs:[r11 + {CONDITION_BEHIND}], r10
    .endif
    jmp     rax
2:  push    rax
    .cfi_adjust_cfa_offset 8
    push    rdi
    .cfi_adjust_cfa_offset 8
    push    rsi
    .cfi_adjust_cfa_offset 8
    push    rdx
    .cfi_adjust_cfa_offset 8
    push    rcx                             // aligns the stack, too
    .cfi_adjust_cfa_offset 8
    mov     rax, qword ptr [rip + ckpt_thread_block@GOTTPOFF]
    mov     dword ptr fs:[rax + {SETTLES}], 1
    .if     {LOCK} == 1
    mov     rdi, rsi
    .endif
    call    {use_lock}
    mov     rax, qword ptr [rip + ckpt_thread_block@GOTTPOFF]
    mov     dword ptr fs:[rax + {SETTLES}], 0
    pop     rcx
    .cfi_adjust_cfa_offset -8
    pop     rdx
    .cfi_adjust_cfa_offset -8
    pop     rsi
    .cfi_adjust_cfa_offset -8
    pop     rdi
    .cfi_adjust_cfa_offset -8
    pop     rax
    .cfi_adjust_cfa_offset -8
    jmp     1b
3:  push    rdi                             // a library's constructor runs before ours
    .cfi_adjust_cfa_offset 8
    push    rsi
    .cfi_adjust_cfa_offset 8
    push    rdx
    .cfi_adjust_cfa_offset 8
    push    rcx
    .cfi_adjust_cfa_offset 8
    sub     rsp, 8
    .cfi_adjust_cfa_offset 8
    lea     rdi, [rip + {next}]
    call    {look_up}
    add     rsp, 8
    .cfi_adjust_cfa_offset -8
    pop     rcx
    .cfi_adjust_cfa_offset -8
    pop     rdx
    .cfi_adjust_cfa_offset -8
    pop     rsi
    .cfi_adjust_cfa_offset -8
    pop     rdi
    .cfi_adjust_cfa_offset -8
    jmp     rax
    .cfi_endproc
