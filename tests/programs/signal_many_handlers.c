/* More handlers than a program has signals: each is called, each is shown as what it is, and what a system call of the program's own has
 * shown of one may be called like it. */
#include "survive.h"
#include <signal.h>
#include <sys/syscall.h>

enum { HANDLERS = 3000, CODE = 16 };

/* As the kernel takes it. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

static volatile sig_atomic_t called;

static void on_signal(int signal) { called += signal; }

/* A function of its own that goes on to `on_signal`. */
static void make_handler(char *code) {
    static const unsigned char load_rax[] = {0x48, 0xb8}, jump_to_rax[] = {0xff, 0xe0};
    void (*target)(int) = on_signal;
    memcpy(code, load_rax, 2);
    memcpy(code + 2, &target, 8);
    memcpy(code + 10, jump_to_rax, 2);
}

static void check_all(char *code) {
    void (*before)(int) = SIG_DFL;
    called = 0;
    for (int i = 0; i < HANDLERS; i++) {
        void (*handler)(int) = (void (*)(int))(uintptr_t)(code + (size_t)i * CODE);
        struct sigaction shown, action = {.sa_handler = handler};
        CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR1, NULL, &shown) == 0);
        CHECK(shown.sa_handler == handler && raise(SIGUSR1) == 0 && called == (i + 1) * SIGUSR1);
        CHECK(signal(SIGTERM, handler) == before);
        before = handler;
    }
    CHECK(signal(SIGTERM, SIG_DFL) == before);
}

/* The third argument is nothing that could be read. */
static void call_directly(void) {
    struct kernel_action shown;
    CHECK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &shown, sizeof shown.mask) == 0);
    called = 0;
    ((void (*)(int, void *, void *))(uintptr_t)shown.handler)(SIGUSR1, NULL, (void *)1);
    CHECK(called == SIGUSR1);
}

int main(void) {
    char *code = map((size_t)HANDLERS * CODE, PROT_READ | PROT_WRITE);
    for (int i = 0; i < HANDLERS; i++) make_handler(code + (size_t)i * CODE);
    CHECK(mprotect(code, (size_t)HANDLERS * CODE, PROT_READ | PROT_EXEC) == 0);
    check_all(code);
    call_directly();
    ready_and_wait();
    call_directly();
    check_all(code);
    return SURVIVED;
}
