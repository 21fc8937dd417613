# Stage 2: the interpreter in the pad.
#
# Called by: restorer/src/pad.rs, by a jump to a copy of this code. Registers: none; the code finds its data (struct
# Header there) at the next page. Address space: at the first instruction the restorer's; while it runs all of that
# goes away and the program's memory takes its place; only the pad stays, until the restored process unmaps it.
#
# Position independent, without stack, decides nothing but whether a result is the expected one. All signals are blocked.
#
#   r15  data of the pad           rbx  operation at hand          rbp  end of the operations

    .section .rodata.pad_code, "a", @progbits
    .balign 16
    .globl pad_code
    .hidden pad_code
    .globl pad_code_end
    .hidden pad_code_end
pad_code:
    lea r15, [rip + pad_code + {PAGE}]          # the data begins one page behind the code
    lea rsp, [r15 + {REGISTERS}]                # our own stack is about to go; nothing is pushed before the end
    mov rbx, [r15 + {OPERATIONS}]               # the first one
    mov rbp, [r15 + {OPERATIONS_END}]           # one past the last one

# One system call after the other. The kernel keeps all registers but rax, rcx and r11.

.Lpad_next:
    cmp rbx, rbp                                # all done?
    je .Lpad_resume
    mov eax, [rbx + {NUMBER}]                   # which call
    mov rdi, [rbx + {ARGUMENTS}]                # its six arguments, where the kernel looks for them
    mov rsi, [rbx + {ARGUMENTS} + 8]            # second
    mov rdx, [rbx + {ARGUMENTS} + 16]           # third
    mov r10, [rbx + {ARGUMENTS} + 24]           # fourth: not rcx, which the instruction overwrites
    mov r8, [rbx + {ARGUMENTS} + 32]            # fifth
    mov r9, [rbx + {ARGUMENTS} + 40]            # sixth
    syscall
    and rax, [rbx + {MASK}]                     # a mask of zero: whatever comes is right
    cmp rax, [rbx + {EXPECTED}]                 # only one result is success
    jne .Lpad_failed
    add rbx, {OPERATION_SIZE}                   # the next one
    jmp .Lpad_next

# The old address space is gone and the new one not complete: all that is left is to say so.

.Lpad_failed:
    mov eax, {WRITE}                            # the prepared line
    mov edi, [r15 + {ERROR_FD}]                 # to the private copy of standard error
    mov rsi, [rbx + {MESSAGE}]                  # which lies in the pad
    mov rdx, [rbx + {MESSAGE_LENGTH}]           # with its newline
    syscall                                     # whether it can be written or not:
    mov eax, {EXIT_GROUP}                       # nothing here can go on
    mov edi, {EXIT_STATUS}                      # the status that the README names
    syscall
    ud2                                         # exit_group does not return

# All registers of the program, in the order in which struct Registers has them; rsp points to the first.

.Lpad_resume:
    fninit                                      # x87 as after execve; the signal frame has the program's own state
    ldmxcsr [r15 + {MXCSR}]                     # and so for SSE
    pop r8
    pop r9
    pop r10
    pop r11
    pop r12
    pop r13
    pop r14
    pop r15                                     # the data's address is not needed any more
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rax                                     # address of the Handover, put there by pad.rs
    pop rcx                                     # now rsp points to the saved rsp, rip and rflags
    push [rsp + 16]                             # rflags, over the slot of rcx, which is done with
    popfq                                       # before rsp goes, since it needs a stack
    mov rsp, [rsp]                              # the program's stack; mov leaves the flags alone
    jmp [rip + pad_code + {PAGE} + {RIP}]       # no register is free to hold the target
    ud2                                         # not reached
pad_code_end:
