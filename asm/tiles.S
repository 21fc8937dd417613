// ckpt_use_tiles(): uses the tiles of AMX, and leaves them as they are at first. The first use of a thread has the kernel make room for
// them (Intel SDM vol. 1, 13.14, and vol. 2, LDTILECFG).
//
// State of the address space: the program's own. The process has been permitted to use them.
    .text
    .balign 16
    .globl ckpt_use_tiles
    .hidden ckpt_use_tiles
    .type ckpt_use_tiles, @function
ckpt_use_tiles:
    ldtilecfg   [rip + 1f]
    tilezero    tmm0
    tilerelease
    ret
    .size ckpt_use_tiles, . - ckpt_use_tiles

    .section .rodata
    .balign 64
1:  .byte   1                               // palette
    .zero   15
    .short  4                               // bytes in a row of tmm0
    .zero   30
    .byte   1                               // its rows
    .zero   15
    .text
