// The handler of the checkpoint signal, the capture of the contexts in which a restored process and its threads begin,
// and the ways out of libckpt.
//
// State of the address space: the program's own, anywhere between two of its instructions. The kernel has put the
// interrupted registers into a signal frame and calls `ckpt_handler` with the three arguments of an SA_SIGINFO
// handler in rdi, rsi and rdx, all signals blocked.

    .text

// What role the thread has is decided on the stack that the signal found, which may be a coroutine's of a few kilobytes,
// so little of it is used. A thread that has to wait for another's checkpoint does so inside `enter`. The one that
// takes the checkpoint moves to libckpt's own stack, of which there is one, and is its owner until `finish`.
    .balign 16
    .globl ckpt_handler
    .hidden ckpt_handler
    .type ckpt_handler, @function
ckpt_handler:
    push    rbp                             // callee-saved; holds the old stack pointer across the calls
    mov     rbp, rsp
    push    rdi                             // the arguments, for the second call
    push    rsi
    push    rdx
    sub     rsp, 8                          // the ABI wants 16-byte alignment at a call
    call    {enter}                         // (signal, siginfo, ucontext)
    test    al, al
    jz      1f                              // another thread's checkpoint, and it is over
    mov     rdi, qword ptr [rbp - 8]        // signal
    mov     rsi, qword ptr [rbp - 16]       // siginfo
    mov     rdx, qword ptr [rbp - 24]       // ucontext
    mov     rsp, qword ptr [rip + ckpt_stack_top]   // 16-byte aligned; errno and TLS stay untouched
    call    {on_signal}
    lea     rsp, [rbp - 32]                 // libckpt's stack must be left before it is given back
    call    {finish}
1:  mov     rsp, rbp
    pop     rbp
    ret                                     // to the trampoline that calls rt_sigreturn
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

// ckpt_capture_thread(ucontext_t *context, Thread *thread): the same for a thread that is not the one with which the
// restored process begins. It goes on where its stack pointer points, which the caller may change in the context.
    .balign 16
    .globl ckpt_capture_thread
    .hidden ckpt_capture_thread
    .type ckpt_capture_thread, @function
ckpt_capture_thread:
    push    rbx                             // callee-saved; rsp is 16-byte aligned now
    mov     rbx, rsi                        // part of the context: brings the thread's record along
    call    getcontext@PLT
    test    rax, rax
    jnz     1f                              // second return
    pop     rbx
    ret
1:  jmp     ckpt_begin_thread
    .size ckpt_capture_thread, . - ckpt_capture_thread

// ckpt_begin_thread: where a thread of a restored process goes on, with its record in rbx and a 16-byte aligned stack.
// One without a thread pointer begins right here, since getcontext reads what libc keeps behind that.
    .balign 16
    .globl ckpt_begin_thread
    .hidden ckpt_begin_thread
    .type ckpt_begin_thread, @function
ckpt_begin_thread:
    mov     rdi, rbx                        // the record
    call    {thread_restored}               // below what is on the stack
    ud2                                     // it ends with rt_sigreturn
    .size ckpt_begin_thread, . - ckpt_begin_thread

// ckpt_return_from_signal(frame): leaves through the signal frame whose ucontext is at rdi, as the trampoline behind a
// handler does: the kernel restores all registers with XSAVE state, the mask, and the alternate stack.
    .balign 16
    .globl ckpt_return_from_signal
    .hidden ckpt_return_from_signal
    .type ckpt_return_from_signal, @function
ckpt_return_from_signal:
    mov     rsp, rdi                        // where rsp points after the handler's ret has popped its return address
    mov     eax, {rt_sigreturn}
    syscall
    ud2                                     // rt_sigreturn does not return
    .size ckpt_return_from_signal, . - ckpt_return_from_signal

// ckpt_finish_and_return(frame): the same for the owner of libckpt's stack, who gives it back. Below the frame there was
// only what the handler's own call had put there.
    .balign 16
    .globl ckpt_finish_and_return
    .hidden ckpt_finish_and_return
    .type ckpt_finish_and_return, @function
ckpt_finish_and_return:
    mov     rbx, rdi                        // callee-saved
    lea     rsp, [rdi - {BELOW_FRAME}]
    and     rsp, -16                        // the ABI wants it at a call
    call    {finish}
    mov     rdi, rbx
    jmp     ckpt_return_from_signal
    .size ckpt_finish_and_return, . - ckpt_finish_and_return

// ckpt_release_and_end(word): stores what is in esi to the word that rdi points to, wakes all who wait for that, and ends
// the thread. As soon as they run, libckpt's stack belongs to another thread, so no stack is used here.
    .balign 16
    .globl ckpt_release_and_end
    .hidden ckpt_release_and_end
    .type ckpt_release_and_end, @function
ckpt_release_and_end:
    mov     dword ptr [rdi], esi            // x86 stores are releases
    mov     eax, {futex}
    mov     esi, {FUTEX_WAKE_PRIVATE}
    mov     edx, 0x7fffffff                 // all of them
    syscall
    mov     eax, {exit}                     // this thread only
    xor     edi, edi                        // nobody asks for the status
    syscall
    ud2                                     // exit does not return
    .size ckpt_release_and_end, . - ckpt_release_and_end

// ckpt_clone(flags, stack, entry, argument): clone(2) whose child, which shares our memory, calls `entry` with `argument`
// on its own stack, whose end is 16-byte aligned, and ends. Returns what clone returns.
    .balign 16
    .globl ckpt_clone
    .hidden ckpt_clone
    .type ckpt_clone, @function
ckpt_clone:
    mov     r9, rdx                         // entry: the kernel keeps this register
    sub     rsi, 8
    mov     qword ptr [rsi], rcx            // argument, onto the child's stack
    xor     edx, edx                        // nowhere to store the parent's view of the id
    xor     r10d, r10d                      // nor the child's
    xor     r8d, r8d                        // no new thread pointer
    mov     eax, {clone}
    syscall
    test    rax, rax
    jz      1f                              // the child
    ret
1:  pop     rdi                             // its argument; the stack is 16-byte aligned again
    call    r9
    mov     eax, {exit}
    xor     edi, edi
    syscall
    ud2                                     // exit does not return
    .size ckpt_clone, . - ckpt_clone

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
    .text

// The dev profile's `core` refers to it in its unwind tables. Nothing unwinds here, so nobody calls it; hidden, or it
// would stand in front of a Rust program's own.
    .globl rust_eh_personality
    .hidden rust_eh_personality
    .type rust_eh_personality, @function
rust_eh_personality:
    ud2
    .size rust_eh_personality, . - rust_eh_personality
