/* Limits that the program has set itself: soft and hard ones. */
#include "survive.h"
#include <sys/resource.h>

int main(void) {
    static const struct {
        int resource;
        struct rlimit limit;
    } limits[] = {
        {RLIMIT_CPU, {1000, 2000}},         {RLIMIT_FSIZE, {1 << 30, RLIM_INFINITY}}, {RLIMIT_STACK, {6 << 20, 60 << 20}},
        {RLIMIT_CORE, {0, 4096}},           {RLIMIT_NOFILE, {200, 300}},              {RLIMIT_MEMLOCK, {4096, 8192}},
        {RLIMIT_DATA, {1 << 30, 2ul << 30}}, {RLIMIT_SIGPENDING, {50, 60}},            {RLIMIT_MSGQUEUE, {1000, 2000}},
        {RLIMIT_NICE, {0, 0}},              {RLIMIT_RTTIME, {100000, 200000}},
    };
    enum { COUNT = sizeof limits / sizeof *limits };
    struct rlimit now;
    for (int i = 0; i < COUNT; i++) CHECK(setrlimit(limits[i].resource, &limits[i].limit) == 0);
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        CHECK(getrlimit(limits[i].resource, &now) == 0);
        CHECK(now.rlim_cur == limits[i].limit.rlim_cur && now.rlim_max == limits[i].limit.rlim_max);
    }
    return SURVIVED;
}
