// One block per thread: struct ThreadLocal of libckpt/src/thread_local.rs, which begins as zeros. Stable Rust has no
// thread-local storage without std. The initial-exec model is possible because libckpt is always loaded at start; with
// it an access allocates nothing, so a signal handler may ask, too.

    .text
// ckpt_thread_local(): the address of the calling thread's block. Called from Rust, on any stack; the thread must have a
// thread pointer.
    .balign 16
    .globl ckpt_thread_local
    .hidden ckpt_thread_local
    .type ckpt_thread_local, @function
ckpt_thread_local:
    mov     rax, qword ptr fs:[0]           // the thread pointer points to itself (ELF TLS, variant II)
    add     rax, qword ptr [rip + ckpt_thread_block@GOTTPOFF]
    ret
    .size ckpt_thread_local, . - ckpt_thread_local

    .section .tbss, "awT", @nobits
    .balign 8
    .globl ckpt_thread_block
    .hidden ckpt_thread_block
    .type ckpt_thread_block, @object
ckpt_thread_block:
    .zero {size}
    .size ckpt_thread_block, {size}
    .text
