/* Threads that libc knows nothing of, without thread-local storage: one sleeps, one spins. */
//# cflags: -pthread -fno-stack-protector
#include "thread.h"

enum { STACK = 64 << 10 };

static uint32_t alive[2]; /* the kernel clears and wakes them when the threads end */
static int arrived, released, correct;

/* Calls libc's functions neither by name nor through thread-local storage. */
static long plain_futex(void *word, long operation, long value) {
    long result = SYS_futex;
    register long timeout __asm__("r10") = 0;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"(word), "S"(operation), "d"(value), "r"(timeout)
                     : "rcx", "r11", "memory");
    return result;
}

static int sleep_plainly(void *argument) {
    char content[PAGE];
    fill(content, sizeof content, (uintptr_t)argument);
    count_up(&arrived);
    while (!is_set(&released)) plain_futex(&released, FUTEX_WAIT_PRIVATE, 0);
    if (is_filled(content, sizeof content, (uintptr_t)argument)) count_up(&correct);
    return 0;
}

static int spin_plainly(void *argument) {
    char content[PAGE];
    fill(content, sizeof content, (uintptr_t)argument);
    count_up(&arrived);
    while (!is_set(&released)) continue;
    if (is_filled(content, sizeof content, (uintptr_t)argument)) count_up(&correct);
    return 0;
}

int main(void) {
    static int (*const runs[])(void *) = {sleep_plainly, spin_plainly};
    static const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                             CLONE_SETTLS | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    for (int i = 0; i < 2; i++) {
        char *stack = map(STACK, PROT_READ | PROT_WRITE);
        CHECK(clone(runs[i], stack + STACK, flags, (void *)(uintptr_t)(101 + i), NULL, NULL, &alive[i]) > 0);
    }
    wait_until_counted(&arrived, 2);
    ready_and_wait();
    set(&released);
    plain_futex(&released, FUTEX_WAKE_PRIVATE, 1);
    /* As pthread_join waits: after a restart it is another number, and the kernel clears it all the same. */
    for (int i = 0; i < 2; i++)
        for (uint32_t tid; (tid = __atomic_load_n(&alive[i], __ATOMIC_SEQ_CST)) != 0;)
            plain_futex(&alive[i], FUTEX_WAIT, tid);
    CHECK(correct == 2);
    return SURVIVED;
}
