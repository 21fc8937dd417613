/* Advice about memory: what is not inherited or wiped at a fork, not dumped, read in some order, put together with equal pages,
   in huge pages or not. The content survives, and so do the flags. */
#include "smaps.h"
#include <sys/wait.h>

/* Large enough for a lazy restart to map them from the image where it can. */
enum { SIZE = 32 * PAGE, COUNT = 8 };

static const int advices[COUNT] = {MADV_DONTFORK,   MADV_WIPEONFORK, MADV_DONTDUMP, MADV_MERGEABLE,
                                   MADV_SEQUENTIAL, MADV_RANDOM,     MADV_HUGEPAGE, MADV_NOHUGEPAGE};
static const char *const flags[COUNT] = {"dc", "wf", "dd", "mg", "sr", "rr", "hg", "nh"};

int main(void) {
    char *regions[COUNT];
    int taken[COUNT], status;
    for (int i = 0; i < COUNT; i++) {
        /* A page apart, so that they do not become one region. */
        regions[i] = map(SIZE + PAGE, PROT_READ | PROT_WRITE);
        CHECK(munmap(regions[i] + SIZE, PAGE) == 0);
        fill(regions[i], SIZE, i);
        taken[i] = madvise(regions[i], SIZE, advices[i]) == 0;
    }
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        CHECK(is_filled(regions[i], SIZE, i));
        if (taken[i] && !has_flag(regions[i], flags[i])) FAIL("flag %s is lost", flags[i]);
    }
    pid_t child = fork();
    if (child == 0) _exit(regions[1][0] == 0 && is_filled(regions[2], SIZE, 2) ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    return SURVIVED;
}
