/* Memory that is not inherited or wiped at a fork or not dumped: the content survives, and so do the flags. */
#include "survive.h"
#include <sys/wait.h>

enum { SIZE = 8 * PAGE };

static const int advices[] = {MADV_DONTFORK, MADV_WIPEONFORK, MADV_DONTDUMP, MADV_MERGEABLE};
static const char *const flags[] = {" dc", " wf", " dd", " mg"};

/* Whether the kernel shows the flag for the region that begins there. */
static int has_flag(const char *region, const char *flag) {
    char line[PAGE], start[32];
    int found = 0, here = 0;
    snprintf(start, sizeof start, "%lx-", (unsigned long)region);
    FILE *maps = fopen("/proc/self/smaps", "r");
    while (fgets(line, sizeof line, maps)) {
        if (strchr("0123456789abcdef", line[0])) here = strncmp(line, start, strlen(start)) == 0;
        if (here && strncmp(line, "VmFlags:", 8) == 0) found = strstr(line, flag) != NULL;
    }
    fclose(maps);
    return found;
}

int main(void) {
    char *regions[4];
    int taken[4], status;
    for (int i = 0; i < 4; i++) {
        /* A page apart, so that they do not become one region. */
        regions[i] = map(SIZE + PAGE, PROT_READ | PROT_WRITE);
        CHECK(munmap(regions[i] + SIZE, PAGE) == 0);
        fill(regions[i], SIZE, i);
        taken[i] = madvise(regions[i], SIZE, advices[i]) == 0;
    }
    ready_and_wait();
    for (int i = 0; i < 4; i++) {
        CHECK(is_filled(regions[i], SIZE, i));
        if (taken[i] && !has_flag(regions[i], flags[i])) FAIL("flag%s is lost", flags[i]);
    }
    pid_t child = fork();
    if (child == 0) _exit(regions[1][0] == 0 && is_filled(regions[2], SIZE, 2) ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    return SURVIVED;
}
