/* Threads that come and go, before and after: each sees no alternate signal stack, and has one that is no other thread's. */
//# cflags: -pthread
#include "survive.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>

enum { CREATORS = 4, ROUNDS = 10, AT_ONCE = 40 };

static pthread_barrier_t all_are_there;
static __thread volatile sig_atomic_t on_stack;
static _Atomic int started, finished;

/* What the kernel has, as opposed to what libc says. */
static stack_t real_stack(void) {
    stack_t stack;
    CHECK(syscall(SYS_sigaltstack, NULL, &stack) == 0);
    return stack;
}

static void check_that_none_is_seen(void) {
    stack_t stack;
    CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_flags == SS_DISABLE && stack.ss_size == 0);
}

static void on_signal(int signal) {
    char here;
    stack_t stack = real_stack();
    on_stack = signal && &here > (char *)stack.ss_sp && &here < (char *)stack.ss_sp + stack.ss_size;
}

static void use_one_of_its_own(void) {
    enum { LARGE = 64 << 10 };
    char *memory = malloc(LARGE);
    stack_t own = {.ss_sp = memory, .ss_size = LARGE}, seen, none = {.ss_flags = SS_DISABLE};
    CHECK(sigaltstack(&own, &seen) == 0 && seen.ss_flags == SS_DISABLE);
    CHECK(sigaltstack(NULL, &seen) == 0 && seen.ss_sp == memory && seen.ss_size == own.ss_size);
    CHECK(real_stack().ss_sp == memory);
    on_stack = 0;
    CHECK(raise(SIGUSR1) == 0 && on_stack);
    CHECK(sigaltstack(&none, &seen) == 0 && seen.ss_sp == memory);
    free(memory);
}

static int is_blocked(void) {
    sigset_t set;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
    return sigismember(&set, SIGUSR2);
}

static int is_really_blocked(void) {
    uint64_t set;
    CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &set, sizeof set) == 0);
    return set >> (SIGUSR2 - 1) & 1;
}

static void *thread(void *blocked) {
    started++;
    CHECK(is_blocked() == !!blocked && !is_really_blocked());
    check_that_none_is_seen();
    stack_t ours = real_stack();
    CHECK(ours.ss_flags == 0 && ours.ss_size >= 64 << 10);
    *(volatile pid_t *)ours.ss_sp = gettid();
    pthread_barrier_wait(&all_are_there);
    CHECK(*(volatile pid_t *)ours.ss_sp == gettid());
    use_one_of_its_own();
    check_that_none_is_seen();
    CHECK(real_stack().ss_sp == ours.ss_sp);
    on_stack = 1;
    CHECK(raise(SIGUSR1) == 0 && !on_stack);
    finished++;
    return blocked;
}

static int c11_thread(void *blocked) { return thread(blocked) == blocked ? 5 : 0; }

static void block(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

static void *create(void *detaches) {
    pthread_t threads[AT_ONCE];
    pthread_attr_t attributes, too_large;
    pthread_attr_init(&attributes);
    /* From the beginning: glibc 2.36's pthread_detach looks at the thread once more when it may have ended. */
    if (detaches) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_init(&too_large);
    pthread_attr_setstacksize(&too_large, (size_t)1 << 46);
    for (long round = 0; round < ROUNDS; round++) {
        long blocked = round % 2;
        block(blocked ? SIG_BLOCK : SIG_UNBLOCK);
        for (int i = 0; i < AT_ONCE - 1; i++) {
            CHECK(pthread_create(&threads[i], &attributes, thread, (void *)blocked) == 0);
            CHECK(pthread_create(&threads[AT_ONCE - 1], &too_large, thread, NULL) == EAGAIN);
        }
        thrd_t last;
        CHECK(thrd_create(&last, c11_thread, (void *)blocked) == thrd_success);
        for (int i = 0; i < AT_ONCE - 1 && !detaches; i++) {
            void *result = NULL;
            CHECK(pthread_join(threads[i], &result) == 0 && result == (void *)blocked);
        }
        int result;
        CHECK(thrd_join(last, &result) == thrd_success && result == 5);
        while (started - finished > CREATORS * AT_ONCE) sched_yield();
    }
    return NULL;
}

static void come_and_go(void) {
    pthread_t creators[CREATORS];
    pthread_barrier_init(&all_are_there, NULL, AT_ONCE);
    for (long i = 0; i < CREATORS; i++) CHECK(pthread_create(&creators[i], NULL, create, (void *)(i % 2)) == 0);
    for (int i = 0; i < CREATORS; i++) CHECK(pthread_join(creators[i], NULL) == 0);
    /* Nobody is at the barrier any more. */
    while (started != finished) sched_yield();
}

/* In a child, only the thread that forked is there, under another id. */
static void *fork_and_create(void *unused) {
    (void)unused;
    stack_t mine = real_stack();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        *(volatile pid_t *)mine.ss_sp = getpid();
        CHECK(real_stack().ss_sp == mine.ss_sp);
        check_that_none_is_seen();
        come_and_go();
        CHECK(*(volatile pid_t *)mine.ss_sp == getpid());
        _exit(SURVIVED);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == SURVIVED);
    return NULL;
}

static void in_a_child(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fork_and_create, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static int mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    int lines = 0;
    for (int byte; (byte = getc(maps)) != EOF;) lines += byte == '\n';
    fclose(maps);
    return lines;
}

int main(void) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 3; i++) come_and_go();
    in_a_child();
    wait_until_alone();
    ready_and_wait();
    for (int i = 0; i < 3; i++) come_and_go();
    in_a_child();
    /* Tens of thousands of threads, but few at a time: stacks are used again. */
    CHECK(mappings() < 1500);
    return SURVIVED;
}
