/* What Go's run-time system does: it asks the kernel for the alternate stack of each thread, takes the one that is there, and its handlers
   insist on running on it. It is known by a note in the program. */
//# cflags: -pthread
#include "thread.h"

__asm__(".pushsection .note.go.buildid,\"a\",@note\n.long 4, 8, 4\n.asciz \"Go\\0\"\n.ascii \"an id   \"\n.popsection");

static __thread stack_t mine;
static int outside, handled;

static void interrupt(int signal) {
    uint64_t here = (uint64_t)__builtin_frame_address(0);
    (void)signal;
    if (here - (uint64_t)mine.ss_sp >= mine.ss_size) set(&outside);
    count_up(&handled);
}

static void *be_handled(void *unused) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_sigaltstack), "D"(NULL), "S"(&mine) : "rcx", "r11", "memory");
    CHECK(result == 0);
    if ((mine.ss_flags & SS_DISABLE) != 0) {
        mine = (stack_t){.ss_sp = malloc(SIGSTKSZ), .ss_size = SIGSTKSZ};
        __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_sigaltstack), "D"(&mine), "S"(NULL) : "rcx", "r11", "memory");
        CHECK(result == 0);
    }
    for (int i = 0; i < 100; i++) CHECK(raise(SIGURG) == 0);
    wait_at_gate();
    for (int i = 0; i < 100; i++) CHECK(raise(SIGURG) == 0);
    return unused;
}

int main(void) {
    struct thread thread;
    handle(SIGURG, interrupt, SA_ONSTACK | SA_RESTART);
    start(&thread, be_handled, NULL);
    wait_until_counted(&handled, 100);
    ready_and_wait();
    open_gate();
    finish(&thread);
    be_handled(NULL);
    CHECK(!is_set(&outside) && handled == 400);
    return SURVIVED;
}
