// Thread-local objects with constructors, and their destructors at the end.
#include "survive.h"
#include <map>
#include <string>

struct Last {
    ~Last() { _exit(SURVIVED); }
};

thread_local std::map<std::string, int> counts;
thread_local Last last;

int main() {
    Last *created = &last;
    for (int i = 0; i < 1000; i++) counts[std::to_string(i)] = i;
    ready_and_wait();
    CHECK(created == &last && counts.size() == 1000 && counts["777"] == 777);
    return 1;
}
