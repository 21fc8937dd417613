/* A process that may do nothing any more but read, write, return from handlers and end: its handlers run all the same. */
#include "survive.h"
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile sig_atomic_t caught;

static void on_signal(int signal) { caught = signal; }

/* The handler ends the call in which it has come. */
static void run(int pipe, int signal) {
    struct sigaction action = {.sa_handler = on_signal};
    char byte;
    CHECK(sigaction(signal, &action, NULL) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    long result = read(pipe, &byte, 1);
    syscall(SYS_exit, result == -1 && errno == EINTR && caught == signal ? 0 : 1);
}

static void has_handlers(int signal) {
    int ends[2], status;
    char path[64], line[64] = "";
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) run(ends[0], signal);
    CHECK(child > 0);
    snprintf(path, sizeof path, "/proc/%d/syscall", child);
    while (strncmp(line, "0 ", 2) != 0) {
        FILE *file = fopen(path, "r");
        CHECK(file && fgets(line, sizeof line, file) && fclose(file) == 0);
    }
    CHECK(kill(child, signal) == 0 && waitpid(child, &status, 0) == child && status == 0);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

int main(void) {
    for (int again = 0; again < 2; again++) {
        has_handlers(SIGALRM);
        has_handlers(SIGUSR2);
        if (!again) ready_and_wait();
    }
    return SURVIVED;
}
