/* What a thread does after the restart: new threads, forks with handlers around them, programs, more restored memory. */
//# cflags: -pthread
#include "thread.h"
#include <sys/wait.h>

enum { NEW = 20 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int prepared, in_parent, in_child;

static void prepare(void) {
    CHECK(pthread_mutex_lock(&mutex) == 0);
    prepared++;
}

static void after_in_parent(void) {
    in_parent++;
    CHECK(pthread_mutex_unlock(&mutex) == 0);
}

static void after_in_child(void) {
    in_child++;
    CHECK(pthread_mutex_unlock(&mutex) == 0);
}

static void *double_it(void *argument) { return (void *)(2 * (uintptr_t)argument); }

static void make_threads(void) {
    struct thread threads[NEW];
    for (int i = 0; i < NEW; i++) start(&threads[i], double_it, (void *)(uintptr_t)i);
    for (int i = 0; i < NEW; i++) CHECK((uintptr_t)finish(&threads[i]) == 2 * (uintptr_t)i);
}

static void *go_on(void *argument) {
    int status;
    wait_at_gate();
    make_threads();
    pid_t child = fork();
    if (child == 0) {
        CHECK(prepared == 1 && in_child == 1 && in_parent == 0 && gettid() == getpid());
        make_threads();
        _exit(7);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(prepared == 1 && in_parent == 1 && in_child == 0);
    CHECK(WEXITSTATUS(system("exit 3")) == 3);
    FILE *output = popen("echo from a child", "r");
    char line[40];
    CHECK(output && fgets(line, sizeof line, output) && strcmp(line, "from a child\n") == 0 && pclose(output) == 0);
    return argument;
}

int main(void) {
    struct thread thread, idle;
    CHECK(pthread_atfork(prepare, after_in_parent, after_in_child) == 0);
    start(&thread, go_on, &prepared);
    start(&idle, wait_at_gate_and_return, &idle);
    wait_until_in(&thread, SYS_futex);
    wait_until_in(&idle, SYS_futex);
    ready_and_wait();
    open_gate();
    CHECK(finish(&thread) == &prepared && finish(&idle) == &idle);
    make_threads();
    return SURVIVED;
}
