/* Begins in two other functions than it was left in: tests/forged_threads.rs gives its image more threads. What they find
 * is what the restorer alone is responsible for: libckpt has no part in it. */
#include "../programs/survive.h"
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>

enum {
    SIBLINGS = 1000,
    STACK = 4096,
    SIGNAL = 40,
    ALL_OLD = 43,
};

/* What a thread pointer points to. */
struct block {
    struct block *self;
    uint64_t rest[15];
};

static _Alignas(16) char stacks[SIBLINGS + 1][STACK];
static struct block blocks[SIBLINGS + 1];
static volatile uint32_t words[SIBLINGS + 1];
static volatile int tids[SIBLINGS + 1];
static volatile int arrived, complaint, first_tid;

/* No function of libc may be called: the thread pointer is not one of libc's. */
static long call(long number, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return number;
}

/* The first thing that is wrong is the exit status. */
#define WANT(condition) ((condition) ? (void)0 : (void)__sync_val_compare_and_swap(&complaint, 0, __LINE__ % 40 + 60))

/* All registers but rsp, rip, r11 and rflags, as `begin_main` and `begin_sibling` have pushed them. */
struct registers {
    uint64_t r8, r9, r10, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx;
};

static void check_state(const struct registers *r, uint64_t index) {
    const uint64_t *all = (const uint64_t *)r;
    for (size_t i = 0; i < sizeof *r / 8; i++)
        if (i != offsetof(struct registers, rax) / 8 && i != offsetof(struct registers, rdi) / 8)
            WANT(all[i] == index * 1000 + i);
    /* The handover: where the pad begins, and how long it is. We run in it no more, and it is still there. */
    const uint64_t *handover = (const uint64_t *)r->rax;
    WANT(handover[0] % PAGE == 0 && handover[1] % PAGE == 0 && handover[1] > SIBLINGS * 144);
    WANT(r->rax > handover[0] && r->rax < handover[0] + handover[1]);
    struct block *self;
    __asm__("mov %%fs:0, %0" : "=r"(self));
    WANT(self == &blocks[index] && self->self == self);
    uint64_t mask;
    WANT(call(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, 8) == 0);
    WANT((mask | 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1)) == ~0ull);
    uint32_t mxcsr;
    __asm__("stmxcsr %0" : "=m"(mxcsr));
    WANT(mxcsr == 0x1f80);
}

/* Two by sigqueue, and one by tgkill, as this process had sent them to the thread. */
static void check_signals(int pid) {
    for (int i = 0; i < 4; i++) {
        siginfo_t info;
        uint64_t set = ~0ull;
        struct timespec now = {0, 0};
        int signal = call(SYS_rt_sigtimedwait, (long)&set, (long)&info, (long)&now, 8);
        if (i == 3) {
            WANT(signal == -EAGAIN);
        } else {
            WANT(signal == (i < 2 ? SIGNAL : SIGNAL + 1) && info.si_pid == pid);
            WANT(info.si_code == (i < 2 ? SI_QUEUE : SI_TKILL) && info.si_value.sival_int == i);
        }
    }
}

__attribute__((used)) static void sibling(const struct registers *r) {
    uint64_t index = r->rdi;
    check_state(r, index);
    int pid = call(SYS_getpid, 0, 0, 0, 0);
    tids[index] = call(SYS_gettid, 0, 0, 0, 0);
    WANT(tids[index] != pid);
    if (index % 3 == 0) check_signals(pid);
    __sync_fetch_and_add(&arrived, 1);
    call(SYS_exit, 0, 0, 0, 0);
}

__attribute__((used)) static void begun(const struct registers *r) {
    check_state(r, 0);
    /* The third word of the handover is where the gate is, at which the others wait. */
    volatile uint32_t *gate = (volatile uint32_t *)((const uint64_t *)r->rax)[2];
    *gate = 1;
    call(SYS_futex, (long)gate, FUTEX_WAKE_PRIVATE, SIBLINGS, 0);
    while (arrived < SIBLINGS) call(SYS_sched_yield, 0, 0, 0, 0);
    tids[0] = call(SYS_gettid, 0, 0, 0, 0);
    int old = 0;
    for (int i = 0; i <= SIBLINGS; i++) {
        WANT(words[i] == ((uint32_t)tids[i] | 1u << 31));
        old += i != 0 && tids[i] == first_tid + i;
    }
    call(SYS_exit_group, complaint ? complaint : old == SIBLINGS ? ALL_OLD : SURVIVED, 0, 0, 0);
}

#define ENTRY(name, function)                                                                                        \
    __asm__(".text\n.balign 16\n" #name ":\n"                                                                        \
            "push %rcx; push %rax; push %rdx; push %rbx; push %rbp; push %rsi; push %rdi\n"                            \
            "push %r15; push %r14; push %r13; push %r12; push %r10; push %r9; push %r8\n"                              \
            "mov %rsp, %rdi\n call " #function "\n ud2\n");                                                            \
    extern const char name[]

ENTRY(begin_main, begun);
ENTRY(begin_sibling, sibling);

/* Arguments: the ids that its image will say that it had, of the process and of what would be its thread number 0. */
int main(int argc, char **argv) {
    CHECK(argc == 3);
    int pid = atoi(argv[1]) ? atoi(argv[1]) : getpid();
    first_tid = atoi(argv[2]);
    for (int i = 0; i <= SIBLINGS; i++) {
        blocks[i].self = &blocks[i];
        words[i] = (uint32_t)(i == 0 ? pid : first_tid + i) | 1u << 31;
        stacks[i][0] = 1;
    }
    printf("%ld %ld %ld %ld %ld\n", (long)begin_main, (long)begin_sibling, (long)stacks, (long)blocks, (long)words);
    fflush(stdout);
    ready_and_wait();
    return 1;
}
