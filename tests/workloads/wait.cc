/* Waits in one call, named by its argument, and says when that began and when it ended. With `sibling` behind the name
 * another thread makes the call, while the main thread waits for that one; with `child` the program has a child meanwhile; with `claimed` it has a
 * handler for SIGUSR2, which ends calls; with
 * `checkpoint` behind that, the handler that ends the call has a checkpoint come right behind it; `checkpoint-syscall` and
 * `checkpoint-raw` do the same with a handler that libc's `syscall`, or no function of libc at all, has installed. `list` prints the names, and what
 * ends each call. */
#include "../programs/thread.h"
#include <chrono>
#include <condition_variable>
#include <future>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <threads.h>

/* Seconds. */
static const double WHOLE = 10;

/* What ends a call: its limit, of which a checkpoint leaves what is left; its limit, which may begin anew; the time of a
 * clock; the signal that the test sends. */
enum end { LIMIT, ANEW, TIME, SIGNAL };
static const char *const ends[] = {"limit", "anew", "time", "signal"};

static const struct timespec *limit(void) {
    static struct timespec time = time_of(WHOLE);
    return &time;
}

static const struct timespec *time_on(clockid_t clock) {
    static struct timespec time;
    CHECK(clock_gettime(clock, &time) == 0);
    time.tv_sec += (time_t)WHOLE;
    return &time;
}

static int interrupted(long result) { return result == -1 && errno == EINTR; }
static int timed_out(long result) { return result == -1 && errno == ETIMEDOUT; }
static int would_block(long result) { return result == -1 && errno == EAGAIN; }

static sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set);
    if (signal) sigaddset(&set, signal);
    return set;
}

static sigset_t blocked(int signal) {
    sigset_t set = set_of(signal);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    return set;
}

static int in_sleep(void) { return sleep((unsigned)WHOLE) == 0; }
static int in_usleep(void) { return usleep((useconds_t)(WHOLE * 1e6)) == 0; }
static int in_nanosleep(void) { return nanosleep(limit(), NULL) == 0; }
static int in_nanosleep_with_rest(void) {
    struct timespec rest = {12, 34};
    return nanosleep(limit(), &rest) == 0 && limit()->tv_sec == (time_t)WHOLE;
}
static int in_clock_nanosleep(void) { return clock_nanosleep(CLOCK_MONOTONIC, 0, limit(), NULL) == 0; }
static int in_clock_nanosleep_until(void) {
    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, time_on(CLOCK_MONOTONIC), NULL) == 0;
}
static int in_clock_nanosleep_until_realtime(void) {
    return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, time_on(CLOCK_REALTIME), NULL) == 0;
}
static int in_thrd_sleep(void) { return thrd_sleep(limit(), NULL) == 0; }

static int in_poll(void) { return poll(NULL, 0, (int)(WHOLE * 1000)) == 0; }
static int in_ppoll(void) { return ppoll(NULL, 0, limit(), NULL) == 0; }
static int in_ppoll_with_mask(void) {
    sigset_t all;
    sigfillset(&all);
    return ppoll(NULL, 0, limit(), &all) == 0 && kernel_mask() == 0;
}
static int in_select(void) {
    struct timeval time = {(time_t)WHOLE, 0};
    return select(0, NULL, NULL, NULL, &time) == 0 && time.tv_sec == 0 && time.tv_usec == 0;
}
static int in_pselect(void) { return pselect(0, NULL, NULL, NULL, limit(), NULL) == 0; }
static int in_pselect_with_mask(void) {
    sigset_t all;
    sigfillset(&all);
    return pselect(0, NULL, NULL, NULL, limit(), &all) == 0 && kernel_mask() == 0;
}
static int in_epoll_wait(void) {
    struct epoll_event event;
    return epoll_wait(epoll_create1(0), &event, 1, (int)(WHOLE * 1000)) == 0;
}
static int in_epoll_pwait(void) {
    struct epoll_event event;
    sigset_t all;
    sigfillset(&all);
    return epoll_pwait(epoll_create1(0), &event, 1, (int)(WHOLE * 1000), &all) == 0 && kernel_mask() == 0;
}
static int in_epoll_pwait2(void) {
    struct epoll_event event;
    return epoll_pwait2(epoll_create1(0), &event, 1, limit(), NULL) == 0;
}
static int in_sigtimedwait(void) {
    sigset_t set = blocked(SIGUSR1);
    return would_block(sigtimedwait(&set, NULL, limit()));
}

static int semaphores(void) {
    static int id;
    id = semget(IPC_PRIVATE, 1, 0600);
    CHECK(id >= 0);
    atexit([] { semctl(id, 0, IPC_RMID); });
    return id;
}
static struct sembuf down = {0, -1, 0};
static int in_semtimedop(void) { return would_block(semtimedop(semaphores(), &down, 1, limit())); }
static int in_semop(void) { return interrupted(semop(semaphores(), &down, 1)); }
static int queue(void) {
    static int id;
    id = msgget(IPC_PRIVATE, 0600);
    CHECK(id >= 0);
    atexit([] { msgctl(id, IPC_RMID, NULL); });
    return id;
}
static int in_msgrcv(void) {
    struct {
        long type;
        char text[8];
    } message;
    return interrupted(msgrcv(queue(), &message, sizeof message.text, 0, 0));
}

static sem_t semaphore;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

/* A lock is held by another thread, which waits for good. */
static void *hold(void *ready) {
    CHECK(pthread_mutex_lock(&held) == 0 && pthread_rwlock_wrlock(&lock) == 0);
    set((int *)ready);
    wait_at_gate();
    return NULL;
}
static void let_hold(void) {
    static struct thread holder;
    static int ready;
    start(&holder, hold, &ready);
    wait_until_set(&ready);
}

static int in_sem_timedwait(void) { return timed_out(sem_timedwait(&semaphore, time_on(CLOCK_REALTIME))); }
static int in_sem_clockwait(void) {
    return timed_out(sem_clockwait(&semaphore, CLOCK_MONOTONIC, time_on(CLOCK_MONOTONIC)));
}
static int in_sem_wait(void) { return interrupted(sem_wait(&semaphore)); }
static int in_cond_timedwait_on(clockid_t clock) {
    pthread_condattr_t kind;
    pthread_cond_t condition;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    CHECK(pthread_condattr_init(&kind) == 0 && pthread_condattr_setclock(&kind, clock) == 0);
    CHECK(pthread_cond_init(&condition, &kind) == 0 && pthread_mutex_lock(&mutex) == 0);
    return pthread_cond_timedwait(&condition, &mutex, time_on(clock)) == ETIMEDOUT;
}
static int in_cond_timedwait(void) { return in_cond_timedwait_on(CLOCK_REALTIME); }
static int in_cond_timedwait_monotonic(void) { return in_cond_timedwait_on(CLOCK_MONOTONIC); }
static int in_cond_clockwait(void) {
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    CHECK(pthread_mutex_lock(&mutex) == 0);
    return pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, time_on(CLOCK_MONOTONIC)) == ETIMEDOUT;
}
static int in_cnd_timedwait(void) {
    cnd_t condition;
    mtx_t mutex;
    CHECK(cnd_init(&condition) == thrd_success && mtx_init(&mutex, mtx_plain) == thrd_success);
    CHECK(mtx_lock(&mutex) == thrd_success);
    return cnd_timedwait(&condition, &mutex, time_on(CLOCK_REALTIME)) == thrd_timedout;
}
static int in_mtx_timedlock(void) {
    mtx_t mutex;
    CHECK(mtx_init(&mutex, mtx_timed) == thrd_success && mtx_lock(&mutex) == thrd_success);
    return mtx_timedlock(&mutex, time_on(CLOCK_REALTIME)) == thrd_timedout;
}
static int in_mutex_timedlock(void) {
    let_hold();
    return pthread_mutex_timedlock(&held, time_on(CLOCK_REALTIME)) == ETIMEDOUT;
}
static int in_mutex_clocklock(void) {
    let_hold();
    return pthread_mutex_clocklock(&held, CLOCK_MONOTONIC, time_on(CLOCK_MONOTONIC)) == ETIMEDOUT;
}
static int in_rwlock_timedrdlock(void) {
    let_hold();
    return pthread_rwlock_timedrdlock(&lock, time_on(CLOCK_REALTIME)) == ETIMEDOUT;
}
static int in_rwlock_timedwrlock(void) {
    let_hold();
    return pthread_rwlock_timedwrlock(&lock, time_on(CLOCK_REALTIME)) == ETIMEDOUT;
}
static int in_rwlock_clockrdlock(void) {
    let_hold();
    return pthread_rwlock_clockrdlock(&lock, CLOCK_MONOTONIC, time_on(CLOCK_MONOTONIC)) == ETIMEDOUT;
}
static int in_rwlock_clockwrlock(void) {
    let_hold();
    return pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, time_on(CLOCK_MONOTONIC)) == ETIMEDOUT;
}
static int in_clockjoin(void) {
    struct thread other;
    start(&other, wait_at_gate_and_return, NULL);
    return pthread_clockjoin_np(other.id, NULL, CLOCK_MONOTONIC, time_on(CLOCK_MONOTONIC)) == ETIMEDOUT;
}
static int in_wait_for(void) {
    std::mutex mutex;
    std::condition_variable condition;
    std::unique_lock<std::mutex> locked(mutex);
    return condition.wait_for(locked, std::chrono::duration<double>(WHOLE), [] { return false; }) == false;
}
static int in_future_wait_for(void) {
    return std::promise<int>().get_future().wait_for(std::chrono::duration<double>(WHOLE)) == std::future_status::timeout;
}

static uint32_t word;
static int in_raw_nanosleep(void) { return syscall(SYS_nanosleep, limit(), NULL) == 0; }
static int in_raw_futex(void) {
    return timed_out(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, limit(), NULL, 0));
}
static int in_raw_futex_until(void) {
    return timed_out(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, time_on(CLOCK_MONOTONIC), NULL, -1));
}

static int in_pause(void) { return interrupted(pause()); }
static int in_sigsuspend(void) {
    sigset_t none = set_of(0);
    blocked(SIGUSR1);
    return interrupted(sigsuspend(&none)) && kernel_mask() == 1 << (SIGUSR1 - 1);
}
static int in_sigwait(void) {
    sigset_t set = blocked(SIGUSR1);
    int signal;
    return sigwait(&set, &signal) == 0 && signal == SIGUSR1;
}
static int in_sigwaitinfo(void) {
    sigset_t set = blocked(SIGUSR1);
    siginfo_t info;
    return sigwaitinfo(&set, &info) == SIGUSR1 && info.si_code == SI_USER;
}
static int in_endless_poll(void) { return interrupted(poll(NULL, 0, -1)); }
static int in_endless_ppoll(void) {
    sigset_t none = set_of(0);
    blocked(SIGUSR1);
    return interrupted(ppoll(NULL, 0, NULL, &none));
}
static int in_endless_select(void) { return interrupted(select(0, NULL, NULL, NULL, NULL)); }
static int in_endless_pselect(void) {
    sigset_t none = set_of(0);
    blocked(SIGUSR1);
    return interrupted(pselect(0, NULL, NULL, NULL, NULL, &none));
}
static int in_futex(void) { return interrupted(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0)); }
static int in_flock(void) {
    CHECK(flock(new_file("locked", 1, 1), LOCK_EX) == 0);
    return interrupted(flock(open("locked", O_RDWR), LOCK_EX));
}
static int in_ofd_lock(void) {
    struct flock whole = {F_WRLCK, SEEK_SET, 0, 0, 0};
    CHECK(fcntl(new_file("locked", 1, 1), F_OFD_SETLK, &whole) == 0);
    return interrupted(fcntl(open("locked", O_RDWR), F_OFD_SETLKW, &whole));
}

static int pipe_end(int which) {
    int both[2];
    CHECK(pipe(both) == 0);
    return both[which];
}
static int in_read(void) {
    char byte;
    return interrupted(read(pipe_end(0), &byte, 1));
}
static int in_write(void) {
    int fd = pipe_end(1);
    static char full[1 << 16];
    CHECK(write(fd, full, sizeof full) == sizeof full);
    return interrupted(write(fd, full, 1));
}
static int socket_with(int option, int *other) {
    struct timeval time = {(time_t)WHOLE, 0};
    int both[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, both) == 0);
    if (option) CHECK(setsockopt(both[0], SOL_SOCKET, option, &time, sizeof time) == 0);
    if (other) *other = both[1];
    return both[0];
}
static int in_recv(void) {
    char byte;
    return interrupted(recv(socket_with(0, NULL), &byte, 1, 0));
}
static int in_recv_with_limit(void) {
    char byte;
    return would_block(recv(socket_with(SO_RCVTIMEO, NULL), &byte, 1, 0));
}
static int listening(struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    *address = {AF_UNIX, "listening"};
    CHECK(bind(fd, (struct sockaddr *)address, sizeof *address) == 0 && listen(fd, 0) == 0);
    return fd;
}
static int in_accept(void) {
    struct sockaddr_un address;
    return interrupted(accept(listening(&address), NULL, NULL));
}
static int in_connect(void) {
    struct sockaddr_un address;
    listening(&address);
    CHECK(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address) == 0);
    return interrupted(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address));
}
static int in_terminal_read(void) {
    char byte;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    return interrupted(read(open(ptsname(master), O_RDWR | O_NOCTTY), &byte, 1));
}

static struct call {
    const char *name;
    enum end end;
    int (*make)(void); /* whether it ended as it should */
} calls[] = {
    {"sleep", LIMIT, in_sleep},
    {"usleep", LIMIT, in_usleep},
    {"nanosleep", LIMIT, in_nanosleep},
    {"nanosleep_with_rest", LIMIT, in_nanosleep_with_rest},
    {"clock_nanosleep", LIMIT, in_clock_nanosleep},
    {"clock_nanosleep_until", TIME, in_clock_nanosleep_until},
    {"clock_nanosleep_until_realtime", TIME, in_clock_nanosleep_until_realtime},
    {"thrd_sleep", LIMIT, in_thrd_sleep},
    {"poll", LIMIT, in_poll},
    {"ppoll", LIMIT, in_ppoll},
    {"ppoll_with_mask", LIMIT, in_ppoll_with_mask},
    {"select", LIMIT, in_select},
    {"pselect", LIMIT, in_pselect},
    {"pselect_with_mask", LIMIT, in_pselect_with_mask},
    {"epoll_wait", LIMIT, in_epoll_wait},
    {"epoll_pwait", LIMIT, in_epoll_pwait},
    {"epoll_pwait2", LIMIT, in_epoll_pwait2},
    {"sigtimedwait", LIMIT, in_sigtimedwait},
    {"semtimedop", LIMIT, in_semtimedop},
    {"sem_timedwait", TIME, in_sem_timedwait},
    {"sem_clockwait", TIME, in_sem_clockwait},
    {"pthread_cond_timedwait", TIME, in_cond_timedwait},
    {"pthread_cond_timedwait_monotonic", TIME, in_cond_timedwait_monotonic},
    {"pthread_cond_clockwait", TIME, in_cond_clockwait},
    {"cnd_timedwait", TIME, in_cnd_timedwait},
    {"mtx_timedlock", TIME, in_mtx_timedlock},
    {"pthread_mutex_timedlock", TIME, in_mutex_timedlock},
    {"pthread_mutex_clocklock", TIME, in_mutex_clocklock},
    {"pthread_rwlock_timedrdlock", TIME, in_rwlock_timedrdlock},
    {"pthread_rwlock_timedwrlock", TIME, in_rwlock_timedwrlock},
    {"pthread_rwlock_clockrdlock", TIME, in_rwlock_clockrdlock},
    {"pthread_rwlock_clockwrlock", TIME, in_rwlock_clockwrlock},
    {"pthread_clockjoin_np", TIME, in_clockjoin},
    {"condition_variable::wait_for", TIME, in_wait_for},
    {"future::wait_for", TIME, in_future_wait_for},
    {"raw_nanosleep", ANEW, in_raw_nanosleep},
    {"raw_futex", ANEW, in_raw_futex},
    {"raw_futex_until", TIME, in_raw_futex_until},
    {"recv_with_limit", ANEW, in_recv_with_limit},
    {"pause", SIGNAL, in_pause},
    {"sigsuspend", SIGNAL, in_sigsuspend},
    {"sigwait", SIGNAL, in_sigwait},
    {"sigwaitinfo", SIGNAL, in_sigwaitinfo},
    {"endless_poll", SIGNAL, in_endless_poll},
    {"endless_ppoll", SIGNAL, in_endless_ppoll},
    {"endless_select", SIGNAL, in_endless_select},
    {"endless_pselect", SIGNAL, in_endless_pselect},
    {"sem_wait", SIGNAL, in_sem_wait},
    {"semop", SIGNAL, in_semop},
    {"msgrcv", SIGNAL, in_msgrcv},
    {"futex", SIGNAL, in_futex},
    {"flock", SIGNAL, in_flock},
    {"fcntl_lock", SIGNAL, in_ofd_lock},
    {"read_of_a_pipe", SIGNAL, in_read},
    {"write_to_a_pipe", SIGNAL, in_write},
    {"read_of_a_terminal", SIGNAL, in_terminal_read},
    {"recv", SIGNAL, in_recv},
    {"accept", SIGNAL, in_accept},
    {"connect", SIGNAL, in_connect},
};

static void note_time(const char *name) {
    FILE *file = fopen("unfinished", "w");
    CHECK(file && fprintf(file, "%.6f", now()) > 0 && fclose(file) == 0 && rename("unfinished", name) == 0);
}

static void *make(void *argument) {
    struct call *call = (struct call *)argument;
    note_time("begin");
    say_ready();
    int as_expected = call->make(), error = errno;
    note_time("end");
    if (!as_expected) FAIL("%s: wrong result, errno %d", call->name, error);
    return NULL;
}

/* Has the checkpoint signal delivered to this thread as soon as the handler returns, by the main thread's checkpoint if that is another. */
static void checkpoint_behind(int) {
    int number = atoi(getenv("CKPT_SIGNAL"));
    uint64_t set = 1ull << (number - 1), pending = 0;
    /* libc's functions would leave the signal alone. */
    CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, sizeof set) == 0);
    CHECK(tgkill(getpid(), getpid(), number) == 0);
    /* On a busy machine the checkpoint is over by then: it has let the signal through. */
    while (!(pending & set) && access("myckpt", F_OK) != 0)
        CHECK(syscall(SYS_rt_sigpending, &pending, sizeof pending) == 0);
}

/* Returns from a handler, as libc's own code does. */
__asm__(".text\n"
        "return_from_handler: mov $15, %eax\n"
        "syscall\n");
extern "C" void return_from_handler(void);

/* A handler that is not installed by libc's `sigaction`. */
static void install(void (*handler)(int), int by_libc) {
    /* As the kernel takes it. */
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } action = {handler, 0x04000000 /* SA_RESTORER */, return_from_handler, 0};
    long result = SYS_rt_sigaction;
    if (by_libc) {
        result = syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, sizeof action.mask);
    } else {
        register long size __asm__("r10") = sizeof action.mask;
        __asm__ volatile("syscall"
                         : "+a"(result)
                         : "D"(SIGUSR1), "S"(&action), "d"(NULL), "r"(size)
                         : "rcx", "r11", "memory");
    }
    CHECK(result == 0);
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "list") == 0) {
        for (struct call &call : calls) printf("%s %s\n", call.name, ends[call.end]);
        return 0;
    }
    for (struct call &call : calls) {
        if (count < 2 || strcmp(arguments[1], call.name) != 0) continue;
        const char *last = arguments[count - 1];
        int checkpoints = strncmp(last, "checkpoint", 10) == 0;
        handle(SIGUSR1, checkpoints ? checkpoint_behind : [](int) {}, 0);
        if (strcmp(last, "checkpoint-syscall") == 0) install(checkpoint_behind, 1);
        if (strcmp(last, "checkpoint-raw") == 0) install(checkpoint_behind, 0);
        count -= checkpoints;
        CHECK(sem_init(&semaphore, 0, 0) == 0);
        if (count == 3 && strcmp(arguments[2], "child") == 0) {
            if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                pause();
            }
            make(&call);
        } else if (count == 3 && strcmp(arguments[2], "claimed") == 0) {
            handle(SIGUSR2, [](int) { FAIL("the program's own handler"); }, 0);
            make(&call);
        } else if (count == 2) {
            make(&call);
        } else {
            struct thread sibling;
            start(&sibling, make, &call);
            blocked(SIGUSR1);
            finish(&sibling);
        }
        exit(SURVIVED);
    }
    FAIL("no such call");
}
