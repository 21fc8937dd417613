/* Handlers with SA_ONSTACK in threads that have no alternate stack: they run on the thread's own, which is larger than any that somebody
   might have in its place, and where several may be left unfinished. */
//# cflags: -pthread -mavx
#include "survive.h"
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

enum { LARGE = 1 << 20, NESTED = 300, COROUTINES = 3, SWITCHES = 12 };

static volatile int depth, large_is_done, waits;
static __thread char *outside;

/* From the top down, as functions do that call each other. */
static void use(char *bytes) {
    for (size_t i = LARGE; i > 0; i -= PAGE) bytes[i - 1] = (char)i;
    for (size_t i = LARGE; i > 0; i -= PAGE) CHECK(bytes[i - 1] == (char)i);
}

static void large(int signal, siginfo_t *info, void *context) {
    char bytes[LARGE];
    CHECK(signal == SIGUSR1 && info->si_code == SI_TKILL && info->si_pid == getpid());
    CHECK(bytes < outside && outside - bytes < 2 * LARGE);
    CHECK(((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP] <= (long)outside);
    use(bytes);
    _mm256_zeroall();
    if (waits) ready_and_wait();
    large_is_done++;
}

static void nested(int signal, siginfo_t *info, void *context) {
    (void)info, (void)context;
    if (++depth < NESTED) CHECK(raise(signal) == 0);
}

static void install(int signal, void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    CHECK(sigaction(signal, &action, NULL) == 0);
}

/* All registers that a handler may change come back. */
static void interrupt(int pid, int tid) {
    __m256 before = _mm256_set1_ps((float)tid), after = before;
    long result = 234 /* tgkill */, value = 0x1234567;
    __asm__ volatile("syscall"
                     : "+a"(result), "+x"(after), "+r"(value)
                     : "D"((long)pid), "S"((long)tid), "d"((long)SIGUSR1)
                     : "rcx", "r11", "memory");
    CHECK(result == 0 && value == 0x1234567 && memcmp(&before, &after, sizeof before) == 0);
}

static void *run(void *unused) {
    char here = 0;
    int before = large_is_done;
    outside = &here;
    interrupt(getpid(), gettid());
    CHECK(large_is_done == before + 1);
    depth = 0;
    CHECK(raise(SIGHUP) == 0 && depth == NESTED);
    return unused;
}

/* Coroutines that leave each other's handlers. */
static ucontext_t main_context, contexts[COROUTINES];
static char stacks[COROUTINES][1 << 16] __attribute__((aligned(64)));
static int current, counts[COROUTINES];

static void turn(int signal, siginfo_t *info, void *context) {
    int from = current, check = from * 1000 + counts[from];
    (void)signal, (void)info, (void)context;
    current = (from + 1) % COROUTINES;
    CHECK(swapcontext(&contexts[from], &contexts[current]) == 0);
    CHECK(check == from * 1000 + counts[from]);
}

static void coroutine(void) {
    int own = current;
    for (; counts[own] < SWITCHES; counts[own]++) {
        int before = counts[own];
        CHECK(raise(SIGALRM) == 0 && counts[own] == before);
    }
    for (current = 0; current < COROUTINES && counts[current] == SWITCHES; current++) continue;
    setcontext(current < COROUTINES ? &contexts[current] : &main_context);
}

static void run_coroutines(void) {
    for (int i = 0; i < COROUTINES; i++) {
        counts[i] = 0;
        CHECK(getcontext(&contexts[i]) == 0);
        contexts[i].uc_stack.ss_sp = stacks[i];
        contexts[i].uc_stack.ss_size = sizeof stacks[i];
        makecontext(&contexts[i], coroutine, 0);
    }
    current = 0;
    CHECK(swapcontext(&main_context, &contexts[0]) == 0);
    for (int i = 0; i < COROUTINES; i++) CHECK(counts[i] == SWITCHES);
}

static void run_all(void) {
    pthread_t thread;
    run(NULL);
    CHECK(pthread_create(&thread, NULL, run, NULL) == 0 && pthread_join(thread, NULL) == 0);
    run_coroutines();
}

int main(void) {
    install(SIGUSR1, large);
    install(SIGHUP, nested);
    install(SIGALRM, turn);
    run_all();
    waits = 1;
    char here = 0;
    outside = &here;
    interrupt(getpid(), gettid());
    waits = 0;
    run_all();
    return SURVIVED;
}
