/* Shared memory, without a file and of memfd_create, that another process has, too: with that one it is shared until a restart,
   and not any more behind it. */
#include "../../libckpt/ckpt.h"
#include "survive.h"
#include <sys/wait.h>

enum { OURS = 7, THEIRS = 9 };

struct shared {
    volatile int ours, theirs;
};

static struct shared *share(int flags, int fd) {
    struct shared *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
    CHECK(shared != MAP_FAILED);
    return shared;
}

/* Nobody's child, and of no group of ours: answers once what it sees, but waits no longer than the test can take. */
static void answer(struct shared *const shared[2]) {
    char seen[64];
    setsid();
    alarm(300);
    while (access("question", F_OK) != 0) sched_yield();
    int length = snprintf(seen, sizeof seen, "%d %d", shared[0]->ours, shared[1]->ours);
    shared[0]->theirs = shared[1]->theirs = THEIRS;
    int fd = open("unfinished", O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (write(fd, seen, length) == length) rename("unfinished", "answer");
    _exit(0);
}

int main(void) {
    int fd = memfd_create("shared", 0), status;
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0 && ckpt_generation);
    struct shared *const shared[2] = {share(MAP_ANONYMOUS, -1), share(0, fd)};
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) answer(shared);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    for (int i = 0; i < 2; i++) shared[i]->ours = shared[i]->theirs = 1;
    ready_and_wait();
    int restored = ckpt_generation() != 0, seen[2];
    for (int i = 0; i < 2; i++) CHECK(shared[i]->ours == 1 && shared[i]->theirs == 1);
    for (int i = 0; i < 2; i++) shared[i]->ours = OURS;
    CHECK(mkdir("question", 0777) == 0);
    while (access("answer", F_OK) != 0) sched_yield();
    FILE *answers = fopen("answer", "r");
    CHECK(answers && fscanf(answers, "%d %d", &seen[0], &seen[1]) == 2);
    for (int i = 0; i < 2; i++) CHECK(seen[i] == (restored ? 1 : OURS) && shared[i]->theirs == (restored ? 1 : THEIRS));
    return SURVIVED;
}
