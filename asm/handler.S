// The handler of the checkpoint signal, and the capture of the context in which a restored process begins.
//
// State of the address space: the program's own, anywhere between two of its instructions. The kernel has put the
// interrupted registers into a signal frame and calls `ckpt_handler` with the three arguments of an SA_SIGINFO
// handler in rdi, rsi and rdx, all signals blocked.

    .text

// The handler moves to libckpt's own stack before any Rust code runs, because the stack that the signal found may be
// a coroutine's of a few kilobytes. There is one such stack, so the first thread to come takes it, and whoever comes
// while it is taken only leaves a mark and returns.
    .balign 16
    .globl ckpt_handler
    .hidden ckpt_handler
    .type ckpt_handler, @function
ckpt_handler:
    push    rbp                             // callee-saved; holds the old stack pointer across the call
    mov     rbp, rsp
    mov     eax, 1
    lock xchg dword ptr [rip + ckpt_busy], eax  // full barrier: what the last owner wrote is seen
    test    eax, eax
    jnz     1f                              // taken: another thread writes a checkpoint right now
    mov     rsp, qword ptr [rip + ckpt_stack_top]   // 16-byte aligned, so the call below is as the ABI wants
    call    {on_signal}                     // (signal, siginfo, ucontext); errno and TLS stay untouched
    mov     rsp, rbp
    mov     dword ptr [rip + ckpt_busy], 0  // x86 stores are releases
    pop     rbp
    ret                                     // to the trampoline that calls rt_sigreturn
1:  mov     dword ptr [rip + ckpt_again], 1 // remembered: the owner looks at it before it leaves
    pop     rbp
    ret
    .size ckpt_handler, . - ckpt_handler

// ckpt_capture(ucontext_t *context): saves the registers by getcontext(3) and returns. In the restored process the
// registers are loaded from there and getcontext returns a second time, then with the address of the handover in rax
// where it had 0. The Rust frame that called must never be entered twice (rustc knows no returns_twice and reuses its
// spill slots), so the second return goes to an entry of its own, on the emptied stack.
    .balign 16
    .globl ckpt_capture
    .hidden ckpt_capture
    .type ckpt_capture, @function
ckpt_capture:
    sub     rsp, 8                          // the ABI wants 16-byte alignment at a call
    call    getcontext@PLT
    test    rax, rax
    jnz     1f                              // second return
    add     rsp, 8
    ret
1:  mov     rdi, rax                        // address of the handover
    mov     rsp, qword ptr [rip + ckpt_stack_top]
    call    {restored}
    ud2                                     // it ends with rt_sigreturn
    .size ckpt_capture, . - ckpt_capture

// ckpt_return_from_signal(frame): leaves through the signal frame whose ucontext is at rdi, as the trampoline behind a
// handler does: the kernel restores all registers with XSAVE state, the mask, and the alternate stack.
    .balign 16
    .globl ckpt_return_from_signal
    .hidden ckpt_return_from_signal
    .type ckpt_return_from_signal, @function
ckpt_return_from_signal:
    mov     rsp, rdi                        // where rsp points after the handler's ret has popped its return address
    mov     dword ptr [rip + ckpt_busy], 0  // the stack that was left above is free from here on
    mov     eax, {rt_sigreturn}
    syscall
    ud2                                     // rt_sigreturn does not return
    .size ckpt_return_from_signal, . - ckpt_return_from_signal

// The trampoline behind our handler: with the raw rt_sigaction it is ours to supply (SA_RESTORER).
    .balign 16
    .globl ckpt_signal_trampoline
    .hidden ckpt_signal_trampoline
    .type ckpt_signal_trampoline, @function
ckpt_signal_trampoline:
    mov     eax, {rt_sigreturn}             // exactly these two instructions: debuggers know the frame by them
    syscall
    ud2
    .size ckpt_signal_trampoline, . - ckpt_signal_trampoline

    .bss
    .balign 8
    .globl ckpt_stack_top
    .hidden ckpt_stack_top
ckpt_stack_top:
    .zero 8
    .globl ckpt_busy
    .hidden ckpt_busy
ckpt_busy:
    .zero 4
    .globl ckpt_again
    .hidden ckpt_again
ckpt_again:
    .zero 4
    .text

// The dev profile's `core` refers to it in its unwind tables. Nothing unwinds here, so nobody calls it; hidden, or it
// would stand in front of a Rust program's own.
    .globl rust_eh_personality
    .hidden rust_eh_personality
    .type rust_eh_personality, @function
rust_eh_personality:
    ud2
    .size rust_eh_personality, . - rust_eh_personality
