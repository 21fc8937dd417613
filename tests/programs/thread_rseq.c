/* What the kernel is told of each thread: rseq area, robust list, and the word that it clears at the thread's end. */
//# cflags: -pthread
#include "thread.h"
#include <sys/prctl.h>
#include <sys/rseq.h>

enum { COUNT = 3 };

static cpu_set_t all;
static int ready;

/* Where the kernel may not tell, only the joining shows it. */
static void *clear_tid_address(void) {
    void *address = NULL;
    CHECK(prctl(PR_GET_TID_ADDRESS, &address) == 0 || errno == EINVAL);
    return address;
}

static void *robust_list(void) {
    void *head;
    size_t length;
    CHECK(syscall(SYS_get_robust_list, 0, &head, &length) == 0);
    return head;
}

static void *with_registrations(void *argument) {
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    void *cleared = clear_tid_address(), *list = robust_list();
    cpu_set_t one;
    count_up(&ready);
    wait_at_gate();
    CHECK(list && robust_list() == list && clear_tid_address() == cleared);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0 && sched_getcpu() == cpu);
        CHECK(__rseq_size == 0 || (int)*(volatile uint32_t *)&area->cpu_id == cpu);
    }
    return argument;
}

int main(void) {
    struct thread threads[COUNT];
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    for (int i = 0; i < COUNT; i++) start(&threads[i], with_registrations, NULL);
    wait_until_counted(&ready, COUNT);
    ready_and_wait();
    open_gate();
    for (int i = 0; i < COUNT; i++) finish(&threads[i]);
    return SURVIVED;
}
