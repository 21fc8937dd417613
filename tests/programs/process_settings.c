/* Settings of the process, and of the thread, that no file in /proc shows in full. */
#include "survive.h"
#include <linux/membarrier.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { GET_THP_DISABLE = 42, SET_THP_DISABLE = 41, SET_MEMORY_MERGE = 67, GET_MEMORY_MERGE = 68, SET_MDWE = 65, GET_MDWE = 66 };

static long core_filter(void) {
    FILE *file = fopen("/proc/self/coredump_filter", "r");
    unsigned long filter;
    CHECK(file && fscanf(file, "%lx", &filter) == 1 && fclose(file) == 0);
    return (long)filter;
}

int main(void) {
    FILE *file = fopen("/proc/self/coredump_filter", "w");
    CHECK(file && fprintf(file, "0x7f") > 0 && fclose(file) == 0);
    CHECK(prctl(SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
    /* What this kernel does not have stays as it is. */
    prctl(SET_MEMORY_MERGE, 1, 0, 0, 0);
    int merges = prctl(GET_MEMORY_MERGE, 0, 0, 0, 0);
    prctl(SET_MDWE, 1, 0, 0, 0);
    int no_new_code = prctl(GET_MDWE, 0, 0, 0, 0);
    int has_barrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
    ready_and_wait();
    CHECK(core_filter() == 0x7f);
    CHECK(prctl(GET_THP_DISABLE, 0, 0, 0, 0) == 1);
    CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
    CHECK(prctl(GET_MEMORY_MERGE, 0, 0, 0, 0) == merges && prctl(GET_MDWE, 0, 0, 0, 0) == no_new_code);
    if (has_barrier) CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
    return SURVIVED;
}
