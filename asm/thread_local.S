// One flag per thread: whether the program believes that it blocks the checkpoint signal. Stable Rust has no
// thread-local storage without std. The initial-exec model is possible because libckpt is always loaded at start.

    .text
// ckpt_blocked_flag(): the address of the calling thread's flag.
    .balign 16
    .globl ckpt_blocked_flag
    .hidden ckpt_blocked_flag
    .type ckpt_blocked_flag, @function
ckpt_blocked_flag:
    mov     rax, qword ptr fs:[0]           // the thread pointer points to itself (ELF TLS, variant II)
    add     rax, qword ptr [rip + ckpt_thread_blocks@GOTTPOFF]
    ret
    .size ckpt_blocked_flag, . - ckpt_blocked_flag

    .section .tbss, "awT", @nobits
    .balign 4
    .type ckpt_thread_blocks, @object
ckpt_thread_blocks:
    .zero 4
    .size ckpt_thread_blocks, 4
    .text
