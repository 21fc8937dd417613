// The rest of a transfer that a checkpoint has cut short.
//
// Entered by rt_sigreturn instead of the instruction behind the call that came back short: settle() in
// libckpt/sys/src/in_progress/transfer.rs has put the number and the arguments of what is left into the registers, and
// struct Rest on the stack, below the red zone. Address space: the program's own. The program sees one call that
// transferred everything: all registers but rax, rcx and r11 are as before, and these as the instruction leaves them.
//
// A checkpoint may come here, too. Behind the first instruction it finds struct Rest at rsp and changes it; everywhere else
// there is nothing to be done. The unwinder finds its way (the call's caller is where REST_BEHIND says).

    .text
    .balign 16
    .globl ckpt_continue_call
    .hidden ckpt_continue_call
    .globl ckpt_continue_call_behind
    .hidden ckpt_continue_call_behind
    .type ckpt_continue_call, @function
ckpt_continue_call:
    .cfi_startproc
    .cfi_signal_frame                       // the address is one to go on at, not one to return to
    .cfi_def_cfa rsp, {REST_SIZE} + {RED_ZONE}
    .cfi_offset rip, {REST_BEHIND} - {REST_SIZE} - {RED_ZONE}
    syscall                                 // as the program had made it, with what is left
ckpt_continue_call_behind:
    pushfq                                  // the program's; r11 may hold a mark by now (ended.rs)
    .cfi_adjust_cfa_offset 8
    test    rax, rax                        // has it transferred anything?
    jg      1f
    xor     eax, eax                        // an error, or the end: what came before counts, the next call finds it again
1:  add     rax, qword ptr [rsp + 8 + {REST_DONE}]      // the sum is the result
    mov     rsi, qword ptr [rsp + 8 + {REST_BUFFER}]    // the arguments as they were
    mov     rdx, qword ptr [rsp + 8 + {REST_COUNT}]
    mov     rcx, qword ptr [rsp + 8 + {REST_BEHIND}]    // the instruction leaves the address behind it in rcx
    mov     r11, qword ptr [rsp]            // and the flags in r11
    popfq                                   // which it does not change, but the lines above do
    .cfi_adjust_cfa_offset -8
    lea     rsp, [rsp + {REST_SIZE} + {RED_ZONE}]
    jmp     rcx                             // where the short call came back to
    .cfi_endproc
    .size ckpt_continue_call, . - ckpt_continue_call
