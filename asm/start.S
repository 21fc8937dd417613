# The restorer's entry point.
#
# Called by: the kernel, after execve(2). Registers: rsp points to argc, argv and so on (System V ABI, AMD64 supplement,
# 3.4.1); the others mean nothing. Address space: as the kernel has made it, with its stack where it likes.
#
# The kernel's stack lies where the program that is to come back may have had anything, so we leave it at once for the one
# at 0x5300000. The Rust side gets the old one as its argument, copies out of it what it needs, and unmaps it.

    .section .text._start, "ax", @progbits
    .balign 16
    .globl _start
    .type _start, @function
_start:
    xor ebp, ebp                                # no frame before this one: backtraces end here
    mov rdi, rsp                                # argc and argv, before their address is lost
    lea rsp, [rip + restorer_stack_top]         # 16-byte aligned, as the ABI wants it before a call
    call {begin}                                # does not return
    ud2                                         # and if it did, there is nowhere to go
    .size _start, . - _start

# The precompiled core library names a personality routine. Nothing unwinds, so nothing calls it; what is built with
# optimisation does not even keep it.

    .section .text.rust_eh_personality, "ax", @progbits
    .globl rust_eh_personality
    .hidden rust_eh_personality
    .type rust_eh_personality, @function
rust_eh_personality:
    ud2                                         # unwinding without tables: stop here rather than guess
    .size rust_eh_personality, . - rust_eh_personality
