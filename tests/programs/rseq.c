/* The registration of libc's rseq area: the number of the CPU in it goes on being right. */
#include "survive.h"
#include <sys/rseq.h>

int main(void) {
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    ready_and_wait();
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0 && sched_getcpu() == cpu);
        CHECK(__rseq_size == 0 || (int)*(volatile uint32_t *)&area->cpu_id == cpu);
    }
    return SURVIVED;
}
