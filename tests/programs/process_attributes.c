/* Attributes of the process: timer slack, dumpability, what is sent at the parent's death, nice value, scheduling, I/O priority,
 * personality, whom the kernel ends first when there is no memory. */
#include "survive.h"
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* include/uapi/linux/ioprio.h: the best-effort class, its lowest priority, and the calling thread. */
enum { IDLE_AT_BEST = 2 << 13 | 7, IOPRIO_WHO_PROCESS = 1 };

static int oom_score_adj(const char *new) {
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDWR);
    CHECK(fd >= 0 && (!new || write(fd, new, strlen(new)) == (ssize_t)strlen(new)));
    CHECK(lseek(fd, 0, SEEK_SET) == 0 && read(fd, text, sizeof text - 1) > 0 && close(fd) == 0);
    return atoi(text);
}

int main(void) {
    int signal = 0;
    struct sched_param none = {0};
    CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0 && sched_setscheduler(0, SCHED_BATCH, &none) == 0);
    CHECK(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IDLE_AT_BEST) == 0);
    CHECK(oom_score_adj("777") == 777);
    CHECK(personality(ADDR_NO_RANDOMIZE | SHORT_INODE) != -1);
    CHECK(prctl(PR_SET_TIMERSLACK, 123456) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGWINCH) == 0);
    ready_and_wait();
    CHECK(prctl(PR_GET_TIMERSLACK) == 123456);
    CHECK(prctl(PR_GET_DUMPABLE) == 0);
    CHECK(prctl(PR_GET_PDEATHSIG, &signal) == 0 && signal == SIGWINCH);
    CHECK(getpriority(PRIO_PROCESS, 0) == 3 && sched_getscheduler(0) == SCHED_BATCH);
    CHECK(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) == IDLE_AT_BEST);
    CHECK(personality(0xffffffff) == (ADDR_NO_RANDOMIZE | SHORT_INODE));
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0 && oom_score_adj(NULL) == 777);
    return SURVIVED;
}
