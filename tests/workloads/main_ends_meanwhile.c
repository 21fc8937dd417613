/* A main thread that ends when it is asked to stop: by its signal, which it blocks without libc. */
//# cflags: -pthread
#include "../programs/thread.h"

static int has_ended;

/* A system call that goes past libc. */
static void call(long number, long first, long second, long third, long fourth) {
    register long r10 __asm__("r10") = fourth;
    __asm__ volatile("syscall" : "+a"(number) : "D"(first), "S"(second), "d"(third), "r"(r10) : "rcx", "r11", "memory");
    CHECK(number == 0);
}

static unsigned long pending_for_this_thread(void) {
    char status[8192] = "";
    int fd = open("/proc/thread-self/status", O_RDONLY);
    CHECK(fd >= 0 && read(fd, status, sizeof status - 1) > 0 && close(fd) == 0);
    return strtoul(strstr(status, "SigPnd:") + 7, NULL, 16);
}

static void *outlive_main(void *unused) {
    ready_and_wait();
    CHECK(__atomic_load_n(&has_ended, __ATOMIC_ACQUIRE));
    exit(SURVIVED);
    return unused;
}

int main(void) {
    pthread_t thread;
    unsigned long all = ~0ul;
    CHECK(pthread_create(&thread, NULL, outlive_main, NULL) == 0);
    call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, 0, 8);
    while (pending_for_this_thread() == 0) sched_yield();
    __atomic_store_n(&has_ended, 1, __ATOMIC_RELEASE);
    call(SYS_exit, 0, 0, 0, 0);
}
