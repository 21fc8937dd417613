# memcpy, memmove, memset, memcmp, bcmp and strlen, which the compiler and the core library call by name.
#
# Called by: compiled Rust code of the restorer, which has no C library, and of libckpt, whose handler must not call a
# function that the program may have replaced. Registers: rdi, rsi, rdx as in C; result in rax. Address space: any. In
# assembly because a Rust body can be compiled into a call to itself. Hidden, so that no other object ever finds them.
# The direction flag is clear on entry and on return (System V ABI, AMD64 supplement, 3.2.1).

    .section .text.memory, "ax", @progbits

    .balign 16
    .globl memcpy
    .hidden memcpy
    .type memcpy, @function
memcpy:
    mov rax, rdi                                # the result is the destination
    mov rcx, rdx                                # where rep looks for the count
    rep movsb                                   # microcoded to move whole cache lines where ERMS is there
    ret
    .size memcpy, . - memcpy

# Forwards unless the destination begins inside the source; then from the end backwards.

    .balign 16
    .globl memmove
    .hidden memmove
    .type memmove, @function
memmove:
    mov rax, rdi                                # the result is the destination
    mov rcx, rdx                                # where rep looks for the count
    mov r8, rdi                                 # distance from source to destination,
    sub r8, rsi                                 # huge (wrapped) if the destination lies before
    cmp r8, rdx                                 # inside the source?
    jb .Lmemmove_backwards                      # forwards would overwrite what is still to be read
    rep movsb                                   # the ordinary case
    ret
.Lmemmove_backwards:
    lea rdi, [rdi + rdx - 1]                    # last byte of the destination
    lea rsi, [rsi + rdx - 1]                    # last byte of the source
    std                                         # downwards
    rep movsb                                   # slow, and rare enough
    cld                                         # the ABI wants it clear
    ret
    .size memmove, . - memmove

    .balign 16
    .globl memset
    .hidden memset
    .type memset, @function
memset:
    mov r8, rdi                                 # the result, kept while rax holds the byte
    mov eax, esi                                # the byte to store
    mov rcx, rdx                                # where rep looks for the count
    rep stosb                                   # microcoded, too
    mov rax, r8                                 # the result is the destination
    ret
    .size memset, . - memset

# bcmp only has to say whether there is a difference, so memcmp serves for both.

    .balign 16
    .globl memcmp
    .hidden memcmp
    .type memcmp, @function
    .globl bcmp
    .hidden bcmp
    .type bcmp, @function
memcmp:
bcmp:
    mov rcx, rdx                                # where rep looks for the count
    xor eax, eax                                # equal, unless found otherwise
    cmp eax, eax                                # ZF as after an equal byte: repe does nothing for a count of 0
    repe cmpsb                                  # up to the first difference
    je .Lmemcmp_done                            # there was none
    movzx eax, byte ptr [rdi - 1]               # the byte of the first that differs
    movzx ecx, byte ptr [rsi - 1]               # and that of the second
    sub eax, ecx                                # sign of first minus second, as unsigned bytes
.Lmemcmp_done:
    ret
    .size memcmp, . - memcmp
    .size bcmp, . - bcmp

# The core library measures the kernel's strings with it.

    .balign 16
    .globl strlen
    .hidden strlen
    .type strlen, @function
strlen:
    mov rcx, -1                                 # no bound: the string has its NUL
    xor eax, eax                                # which is what we look for
    repne scasb                                 # rcx loses one for each byte, the NUL included
    mov rax, -2                                 # so that length = -2 - rcx
    sub rax, rcx                                # the result
    ret
    .size strlen, . - strlen
