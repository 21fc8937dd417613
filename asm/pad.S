# Stage 2: the interpreter in the pad, and where the program's other threads wait for its end.
#
# Called by: restorer/src/pad.rs, by a jump to a copy of this code, in the main thread; asm/clone.S, by a jump to pad_thread
# in that copy, in every other thread. Registers: the main thread none, the others rsp, which points to their struct
# Slot; the code finds its data (struct Header in operations.rs) at the next page. Address space: at the first
# instruction the restorer's; while it runs all of that goes away and the program's memory takes its place; only the
# pad stays, until the restored process unmaps it.
#
# Position independent, without stack, decides nothing but whether a result is the expected one. All signals are blocked.
#
#   r15  data of the pad           rbx  operation at hand          rbp  end of the operations
#                                       (a thread: its signal)          (its signals)

    .section .rodata.pad_code, "a", @progbits
    .balign 16
    .globl pad_code
    .hidden pad_code
    .globl pad_thread
    .hidden pad_thread
    .globl pad_code_end
    .hidden pad_code_end
pad_code:
    lea r15, [rip + pad_code + {PAGE}]          # the data begins one page behind the code
    lea rsp, [r15 + {REGISTERS}]                # the stack is about to go; nothing is pushed before the end
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

# Another thread begins here. Its capabilities are its own, so it drops what the restorer needed. Its pending signals it sends
# itself: from another thread the kernel takes no signal that says it came by kill or tgkill, as most do.

pad_thread:
    lea r15, [rip + pad_code + {PAGE}]          # the same data for all threads
    cmp dword ptr [r15 + {DROPS_CAPABILITIES}], 0
    je .Lpad_signals
    mov eax, {CAPSET}
    lea rdi, [r15 + {CAPABILITIES}]             # the header, which says that it is about this thread
    lea rsi, [r15 + {CAPABILITIES_DATA}]
    syscall
    mov [rsp + {SLOT_ERROR}], eax               # the main thread looks at it, and gives up if it is not 0
    test eax, eax
    jnz .Lpad_arrived
.Lpad_signals:
    mov rbx, [rsp + {SIGNALS}]                  # the first one
    mov rbp, [rsp + {SIGNALS_END}]              # one past the last one
    cmp rbx, rbp                                # none, as mostly?
    je .Lpad_arrived
    mov eax, {GETPID}                           # both ids are arguments of the call below
    syscall
    mov r12, rax                                # the process
    mov eax, {GETTID}                           # and this thread, which does not know its new id
    syscall
    mov r13, rax
.Lpad_signal:
    mov eax, {RT_TGSIGQUEUEINFO}                # with all that was in it
    mov edi, r12d
    mov esi, r13d
    mov edx, [rbx]                              # si_signo is the first field
    mov r10, rbx
    syscall
    mov [rsp + {SLOT_ERROR}], eax               # 0, or a negative error number: the main thread looks at it, and gives up
    test eax, eax
    jnz .Lpad_arrived
    add rbx, {SIGNAL_SIZE}                      # the next one
    cmp rbx, rbp                                # all sent?
    jne .Lpad_signal

# The last one to arrive wakes the main thread, which waits in restorer/src/clone.rs.

.Lpad_arrived:
    mov ebp, 1
    lock xadd [r15 + {ARRIVED}], ebp            # full barrier: the main thread sees what was written above
    inc ebp                                     # how many there are now
    cmp ebp, [r15 + {SIBLINGS}]
    jne .Lpad_wait
    lea rdi, [r15 + {ARRIVED}]                  # wakes one thread, and no other one waits for this word
    mov esi, {FUTEX_WAKE_PRIVATE}
    mov edx, 1
    mov eax, {FUTEX}
    syscall

# The restored process lets it go on, when all of the program's memory is there and libckpt has found its bearings.

.Lpad_wait:
    cmp dword ptr [r15 + {GATE}], 0             # x86 loads are acquires
    jne .Lpad_resume
    lea rdi, [r15 + {GATE}]                     # returns at once if it is not 0 any more
    mov esi, {FUTEX_WAIT_PRIVATE}
    xor edx, edx                                # while it is 0
    xor r10d, r10d                              # for as long as it takes
    mov eax, {FUTEX}
    syscall
    jmp .Lpad_wait                              # whatever woke us, the word decides

# All registers of the program, in the order in which struct Registers has them; rsp points to the first. Each thread begins
# as if a function had returned to it, so that r11 is free.

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
    pop rax                                     # address of the Handover, put there by stage 1
    pop rcx                                     # now rsp points to the saved rsp, rip and rflags
    push [rsp + 16]                             # rflags, over the slot of rcx, which is done with
    popfq                                       # before rsp goes, since it needs a stack
    mov r11, [rsp + 8]                          # rip; mov leaves the flags alone
    mov rsp, [rsp]                              # the program's stack
    jmp r11
    ud2                                         # not reached
pad_code_end:
