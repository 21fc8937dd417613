/* What the programs with threads share: start a thread, know that it is blocked in a call, hold it until the release. */
#include "survive.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define UNUSED __attribute__((unused))
#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

/* Flags that one thread sets and others look at. */
UNUSED static void set(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_SEQ_CST); }
UNUSED static int is_set(const int *flag) { return __atomic_load_n(flag, __ATOMIC_SEQ_CST); }
UNUSED static int count_up(int *counter) { return __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST); }

UNUSED static void wait_until_set(const int *flag) {
    while (!is_set(flag)) sched_yield();
}

UNUSED static void wait_until_counted(const int *counter, int count) {
    while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) < count) sched_yield();
}

/* A thread, and its first id: each restart gives it another. */
struct thread {
    pthread_t id;
    pid_t tid;
    void *(*run)(void *);
    void *argument;
};

UNUSED static void *say_tid_and_run(void *of) {
    struct thread *thread = (struct thread *)of;
    __atomic_store_n(&thread->tid, gettid(), __ATOMIC_SEQ_CST);
    return thread->run(thread->argument);
}

UNUSED static void start(struct thread *thread, void *(*run)(void *), void *argument) {
    thread->tid = 0;
    thread->run = run;
    thread->argument = argument;
    CHECK(pthread_create(&thread->id, NULL, say_tid_and_run, thread) == 0);
}

/* Until the kernel has forgotten a thread that was joined. For before the first checkpoint, since it goes by the first id. */
UNUSED static void wait_until_gone(const struct thread *thread) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d", thread->tid);
    while (access(path, F_OK) == 0) sched_yield();
}

/* Waits for its end; what it returned. */
UNUSED static void *finish(struct thread *thread) {
    void *result;
    CHECK(pthread_join(thread->id, &result) == 0);
    return result;
}

/* Whether a thread of this process sleeps in the system call `number`; -1 if it has ended. */
UNUSED static int is_in(pid_t tid, long number) {
    char path[64], line[32] = "", *end;
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    int fd = open(path, O_RDONLY);
    if (fd < 0) return -1;
    ssize_t length = read(fd, line, sizeof line - 1);
    close(fd);
    if (length <= 0) return -1;
    long found = strtol(line, &end, 10);
    return end != line && found == number;
}

/* For before the first checkpoint, since it goes by the first id. */
UNUSED static void wait_until_in(const struct thread *thread, long number) {
    int found;
    time_t begin = time(NULL);
    wait_until_set(&thread->tid);
    while ((found = is_in(thread->tid, number)) == 0) {
        if (time(NULL) > begin + 60) FAIL("no thread has come to system call %ld", number);
        sched_yield();
    }
    if (found < 0) FAIL("a thread has ended instead of waiting in system call %ld", number);
}

/* What threads wait at that have nothing else to wait for. Leaves errno alone. */
static int gate;

UNUSED static void wait_at_gate(void) {
    int saved = errno;
    while (!is_set(&gate)) syscall(SYS_futex, &gate, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    errno = saved;
}

UNUSED static void open_gate(void) {
    set(&gate);
    syscall(SYS_futex, &gate, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

UNUSED static void *wait_at_gate_and_return(void *argument) {
    wait_at_gate();
    return argument;
}

/* Sends the signal until the flag is set: a thread that is about to go back into its call could take one before it. */
UNUSED static void wake(const struct thread *thread, int signal, const int *flag) {
    while (!is_set(flag)) {
        CHECK(pthread_kill(thread->id, signal) == 0);
        usleep(1000);
    }
}

/* A handler for `signal` that does not restart calls. */
UNUSED static void handle(int signal, void (*handler)(int), int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    CHECK(sigaction(signal, &action, NULL) == 0);
}

/* The mask as the kernel has it. */
UNUSED static uint64_t kernel_mask(void) {
    uint64_t mask;
    CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask) == 0);
    return mask;
}

/* Past libc, and so past everything that stands in front of libc. */
UNUSED static void set_kernel_mask(uint64_t mask) {
    CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask) == 0);
}

/* Keeps the caller from being stopped until `can_be_stopped`: it blocks all signals, and is traced by a process that is nobody's
   child, so that nobody else can let one through. */
UNUSED static int *stop_being_traced;
UNUSED static void cannot_be_stopped(void) {
    pid_t thread = gettid();
    int shared = MAP_SHARED | MAP_ANONYMOUS;
    int *word = stop_being_traced = (int *)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, shared, -1, 0);
    CHECK(word != MAP_FAILED);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    set_kernel_mask(~0ull);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (fork() == 0) {
            CHECK(ptrace(PTRACE_SEIZE, thread, NULL, NULL) == 0);
            set(word);
            while (is_set(word)) usleep(100);
        }
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child);
    wait_until_set(word);
}

UNUSED static void can_be_stopped(void) {
    char status[512], *tracer;
    __atomic_store_n(stop_being_traced, 0, __ATOMIC_SEQ_CST);
    do {
        int fd = open("/proc/thread-self/status", O_RDONLY);
        CHECK(fd >= 0 && read(fd, status, sizeof status - 1) > 0 && close(fd) == 0);
        CHECK((tracer = strstr(status, "TracerPid:\t")) != NULL);
    } while (strncmp(tracer, "TracerPid:\t0\n", 13) != 0);
    set_kernel_mask(0);
}

/* Seconds, on the clock by which timeouts run. */
UNUSED static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

UNUSED static struct timespec time_of(double seconds) {
    struct timespec time;
    time.tv_sec = (time_t)seconds;
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    return time;
}

/* A call that ends by its timeout, made by a thread of its own. */
struct timed_call {
    const char *name;
    long number;                /* of the system call in which it waits */
    int (*make)(double timeout); /* whether it ended as it does by its timeout */
    struct thread thread;
    double begin, end;
};

#define TIMEOUT 2

UNUSED static void *make_timed_call(void *argument) {
    struct timed_call *call = (struct timed_call *)argument;
    call->begin = now();
    int as_expected = call->make(TIMEOUT);
    call->end = now();
    if (!as_expected) FAIL("%s: wrong result after %f s, errno %d", call->name, call->end - call->begin, errno);
    if (call->end - call->begin < TIMEOUT) FAIL("%s: back after %f s", call->name, call->end - call->begin);
    return NULL;
}

/* Makes all the calls across the checkpoint. They must not end early, nor wait for long after the release. */
UNUSED static void check_timed_calls(struct timed_call *calls, int count) {
    for (int i = 0; i < count; i++) start(&calls[i].thread, make_timed_call, &calls[i]);
    for (int i = 0; i < count; i++) {
        wait_until_set(&calls[i].thread.tid);
        /* On a machine that is very slow, the first have ended when the last is looked at. */
        while (is_in(calls[i].thread.tid, calls[i].number) == 0) sched_yield();
    }
    ready_and_wait();
    double released = now();
    for (int i = 0; i < count; i++) {
        finish(&calls[i].thread);
        if (calls[i].end > released + TIMEOUT + 5) FAIL("%s: waited too long", calls[i].name);
    }
}
