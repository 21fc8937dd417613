/* What the kernel keeps for each thread: name, nice value, scheduling, CPUs, memory policy, timer slack, parent death. */
//# cflags: -pthread
#include "thread.h"
#include <linux/mempolicy.h>
#include <sys/prctl.h>
#include <sys/resource.h>

struct attributes {
    char name[16];
    int nice, policy, parent_death, memory_policy;
    long timer_slack;
    cpu_set_t cpus;
};

static struct attributes attributes[] = {
    {.name = "first", .nice = 1, .policy = SCHED_OTHER, .timer_slack = 60000, .memory_policy = MPOL_DEFAULT},
    {.name = "second", .nice = 7, .policy = SCHED_BATCH, .timer_slack = 70000, .memory_policy = MPOL_LOCAL},
    {.name = "the third one..", .policy = SCHED_IDLE, .timer_slack = 50000, .memory_policy = MPOL_BIND},
    {.name = "", .nice = 19, .policy = SCHED_OTHER, .timer_slack = 1, .memory_policy = MPOL_INTERLEAVE},
};
static const int parent_death[] = {0, SIGWINCH, SIGURG, SIGCHLD};
static int ready;

static int get_memory_policy(void) {
    int policy = MPOL_DEFAULT;
    /* A kernel without NUMA has no policies, and a sandbox may forbid to ask. */
    CHECK(syscall(SYS_get_mempolicy, &policy, NULL, 0, NULL, 0) == 0 || errno == ENOSYS || errno == EPERM);
    return policy;
}

static struct attributes get(void) {
    struct attributes now;
    memset(&now, 0, sizeof now);
    CHECK(prctl(PR_GET_NAME, now.name) == 0 && prctl(PR_GET_PDEATHSIG, &now.parent_death) == 0);
    now.nice = getpriority(PRIO_PROCESS, 0);
    now.policy = sched_getscheduler(0);
    now.timer_slack = prctl(PR_GET_TIMERSLACK);
    now.memory_policy = get_memory_policy();
    CHECK(sched_getaffinity(0, sizeof now.cpus, &now.cpus) == 0);
    return now;
}

static void *with_attributes(void *argument) {
    struct attributes *asked = argument, set, after;
    struct sched_param none = {0};
    unsigned long nodes = 1;
    CHECK(prctl(PR_SET_NAME, asked->name) == 0 && prctl(PR_SET_PDEATHSIG, asked->parent_death) == 0);
    CHECK(setpriority(PRIO_PROCESS, 0, asked->nice) == 0 && sched_setscheduler(0, asked->policy, &none) == 0);
    CHECK(prctl(PR_SET_TIMERSLACK, asked->timer_slack) == 0);
    CHECK(sched_setaffinity(0, sizeof asked->cpus, &asked->cpus) == 0);
    int with_nodes = asked->memory_policy == MPOL_BIND || asked->memory_policy == MPOL_INTERLEAVE;
    syscall(SYS_set_mempolicy, asked->memory_policy, with_nodes ? &nodes : NULL, with_nodes ? 64 : 0);
    set = get();
    CHECK(strcmp(set.name, asked->name) == 0 && set.nice == asked->nice && set.policy == asked->policy);
    CHECK(set.timer_slack == asked->timer_slack && CPU_EQUAL(&set.cpus, &asked->cpus));
    count_up(&ready);
    wait_at_gate();
    after = get();
    CHECK(strcmp(after.name, set.name) == 0);
    CHECK(after.nice == set.nice);
    CHECK(after.policy == set.policy);
    CHECK(after.timer_slack == set.timer_slack);
    CHECK(after.parent_death == set.parent_death && set.parent_death == asked->parent_death);
    CHECK(after.memory_policy == set.memory_policy);
    CHECK(CPU_EQUAL(&after.cpus, &set.cpus));
    return NULL;
}

int main(void) {
    struct thread threads[LENGTH(attributes)];
    struct attributes before = get(), after;
    int cpu = 0;
    for (int i = 0; i < LENGTH(attributes); i++) {
        attributes[i].parent_death = parent_death[i];
        attributes[i].cpus = before.cpus;
        /* The first two get a CPU each, where there are two. */
        if (i < 2) {
            while (!CPU_ISSET(cpu % CPU_SETSIZE, &before.cpus)) cpu++;
            CPU_ZERO(&attributes[i].cpus);
            CPU_SET(cpu++ % CPU_SETSIZE, &attributes[i].cpus);
        }
        start(&threads[i], with_attributes, &attributes[i]);
    }
    wait_until_counted(&ready, LENGTH(attributes));
    ready_and_wait();
    after = get();
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    open_gate();
    for (int i = 0; i < LENGTH(attributes); i++) finish(&threads[i]);
    return SURVIVED;
}
