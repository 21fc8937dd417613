/* Signal-driven input: the signal, and who gets it: the process, a thread, the process group; another process not any more. */
#include "../../libckpt/ckpt.h"
#include "survive.h"
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

struct pair {
    int reader, writer, signal;
};

static struct pair new_pair(int signal) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(fcntl(ends[0], F_SETSIG, signal) == 0);
    CHECK(fcntl(ends[0], F_SETFL, O_RDWR | O_ASYNC | O_NONBLOCK) == 0);
    return (struct pair){ends[0], ends[1], signal};
}

static void set_owner(struct pair pair, int type, pid_t pid) {
    CHECK(fcntl(pair.reader, F_SETOWN_EX, &(struct f_owner_ex){type, pid}) == 0);
}

static int is_owner(struct pair pair, int type, pid_t pid) {
    struct f_owner_ex owner;
    CHECK(fcntl(pair.reader, F_GETOWN_EX, &owner) == 0);
    return (int)owner.type == type && owner.pid == pid;
}

/* What is written raises the signal, which says for which descriptor it is. */
static void check_signal(struct pair pair) {
    siginfo_t info;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, pair.signal);
    CHECK(write(pair.writer, "x", 1) == 1);
    CHECK(sigtimedwait(&signals, &info, &(struct timespec){10, 0}) == pair.signal);
    CHECK(info.si_fd == pair.reader && info.si_code == POLL_IN);
    CHECK(fcntl(pair.reader, F_GETSIG) == pair.signal);
    CHECK(fcntl(pair.reader, F_GETFL) == (O_RDWR | O_ASYNC | O_NONBLOCK));
}

int main(void) {
    /* A group of its own, so that the signal for it hits nobody else. */
    CHECK(setpgid(0, 0) == 0 || getpgid(0) == getpid());
    sigset_t signals;
    sigemptyset(&signals);
    for (int i = 0; i < 3; i++) sigaddset(&signals, SIGRTMIN + 4 + i);
    CHECK(sigprocmask(SIG_BLOCK, &signals, NULL) == 0);
    struct pair process = new_pair(SIGRTMIN + 4), thread = new_pair(SIGRTMIN + 5), nobody = new_pair(SIGRTMIN + 6);
    set_owner(process, F_OWNER_PID, getpid());
    set_owner(thread, F_OWNER_TID, syscall(SYS_gettid));
    int group = dup(open("/dev/null", O_RDONLY));
    CHECK(fcntl(group, F_SETOWN, -getpgid(0)) == 0);
    int another = open("/dev/null", O_RDONLY);
    pid_t parent = getppid();
    CHECK(fcntl(another, F_SETOWN, parent) == 0 && fcntl(another, F_GETOWN) == parent && ckpt_generation);
    ready_and_wait();
    CHECK(fcntl(another, F_GETOWN) == (ckpt_generation() == 0 ? parent : 0));
    CHECK(is_owner(process, F_OWNER_PID, getpid()));
    CHECK(is_owner(thread, F_OWNER_TID, syscall(SYS_gettid)));
    check_signal(process);
    check_signal(thread);
    CHECK(fcntl(group, F_GETOWN) == -getpgid(0));
    CHECK(write(nobody.writer, "x", 1) == 1 && sigpending(&signals) == 0);
    CHECK(!sigismember(&signals, nobody.signal) && fcntl(nobody.reader, F_GETSIG) == nobody.signal);
    return SURVIVED;
}
