/* A descriptor that refers to the process itself refers to the new process after a restart. */
#include "survive.h"
#include <signal.h>
#include <sys/syscall.h>

static int pid_of(int fd) {
    char path[64], line[256];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *info = fopen(path, "r");
    CHECK(info);
    while (fgets(line, sizeof line, info) && sscanf(line, "Pid: %d", &pid) != 1) {}
    fclose(info);
    return pid;
}

static volatile sig_atomic_t got;
static void handler(int signal) { got = signal; }

int main(void) {
    int fd = (int)syscall(SYS_pidfd_open, getpid(), O_NONBLOCK);
    CHECK(fd >= 0 && signal(SIGUSR1, handler) != SIG_ERR);
    int flags = fcntl(fd, F_GETFL);
    ready_and_wait();
    CHECK(fcntl(fd, F_GETFL) == flags && fcntl(fd, F_GETFD) == FD_CLOEXEC && pid_of(fd) == getpid());
    CHECK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0) == 0 && got == SIGUSR1);
    return SURVIVED;
}
