/* Memory policies of regions. */
//# needs: numa
#include "survive.h"
#include <linux/mempolicy.h>
#include <sys/syscall.h>

enum { SIZE = 8 * PAGE, COUNT = 5 };

static int policy_at(char *memory, unsigned long *nodes) {
    int mode = -1;
    *nodes = 0;
    CHECK(syscall(SYS_get_mempolicy, &mode, nodes, 64, memory, MPOL_F_ADDR) == 0);
    return mode;
}

int main(void) {
    const int modes[COUNT] = {MPOL_DEFAULT, MPOL_BIND, MPOL_PREFERRED, MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, MPOL_LOCAL};
    unsigned long first = 1, nodes;
    /* One mapping, which the policies part. */
    char *memory = map(COUNT * SIZE, PROT_READ | PROT_WRITE), *parts[COUNT + 1];
    for (int i = 0; i < COUNT; i++) parts[i] = memory + i * SIZE;
    parts[COUNT] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(syscall(SYS_mbind, parts[COUNT], SIZE, MPOL_BIND, &first, 64, 0) == 0);
    for (int i = 0; i < COUNT; i++) {
        int with_nodes = modes[i] != MPOL_DEFAULT && modes[i] != MPOL_LOCAL;
        CHECK(syscall(SYS_mbind, parts[i], SIZE, modes[i], with_nodes ? &first : NULL, with_nodes ? 64 : 0, 0) == 0);
    }
    fill(memory, COUNT * SIZE, 1);
    ready_and_wait();
    CHECK(is_filled(memory, COUNT * SIZE, 1));
    for (int i = 0; i < COUNT; i++) {
        int with_nodes = modes[i] != MPOL_DEFAULT && modes[i] != MPOL_LOCAL;
        CHECK(policy_at(parts[i], &nodes) == modes[i] && (!with_nodes || nodes == first));
    }
    CHECK(policy_at(parts[COUNT], &nodes) == MPOL_BIND && nodes == first);
    return SURVIVED;
}
