// Thread-local objects of threads, made before and after, and their destructors at the end of each thread.
//# cflags: -pthread
#include "thread.h"
#include <map>
#include <string>
#include <thread>
#include <vector>

enum { COUNT = 4 };

static int ready, destroyed;

/* All of a thread are made when the first is used, so also those of the main thread. */
struct Counted {
    std::map<std::string, int> counts;
    ~Counted() {
        if (counts.size() == 100) count_up(&destroyed);
    }
};

thread_local Counted before, after;
thread_local std::string name = "unnamed";

static void fill_with(Counted &counted, int value) {
    for (int i = 0; i < 100; i++) counted.counts[std::to_string(i)] = value;
}

int main() {
    std::vector<std::thread> threads;
    for (int i = 0; i < COUNT; i++)
        threads.emplace_back([i] {
            fill_with(before, i);
            name = std::string(100, static_cast<char>('a' + i));
            count_up(&ready);
            wait_at_gate();
            CHECK(before.counts["77"] == i && name == std::string(100, static_cast<char>('a' + i)));
            fill_with(after, i);
        });
    wait_until_counted(&ready, COUNT);
    ready_and_wait();
    CHECK(name == "unnamed" && destroyed == 0);
    open_gate();
    for (auto &thread : threads) thread.join();
    CHECK(destroyed == 2 * COUNT);
    return SURVIVED;
}
