// Threads that throw and catch exceptions all the time, and one whose exception is being handled at the checkpoint.
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <stdexcept>
#include <string>

static int rounds, stop, handling;

struct Counted {
    explicit Counted(int &counter) : counter(counter) {}
    ~Counted() { counter++; }
    int &counter;
};

static void throw_from(int depth, int &destroyed) {
    Counted counted(destroyed);
    if (depth == 0) throw std::runtime_error(std::string(100, 'x'));
    throw_from(depth - 1, destroyed);
}

static void *throw_and_catch(void *argument) {
    while (!is_set(&stop)) {
        int destroyed = 0;
        try {
            throw_from(20, destroyed);
            FAIL("nothing was thrown");
        } catch (const std::exception &error) {
            CHECK(error.what() == std::string(100, 'x') && destroyed == 21);
        }
        count_up(&rounds);
    }
    return argument;
}

static void *handle_one(void *argument) {
    int destroyed = 0;
    try {
        try {
            throw_from(3, destroyed);
        } catch (const std::runtime_error &) {
            set(&handling);
            wait_at_gate();
            throw;
        }
    } catch (const std::exception &error) {
        CHECK(error.what() == std::string(100, 'x') && destroyed == 4);
        return argument;
    }
    FAIL("nothing was thrown again");
}

int main() {
    struct thread throwing[3], handler;
    for (auto &thread : throwing) start(&thread, throw_and_catch, nullptr);
    start(&handler, handle_one, nullptr);
    wait_until_set(&handling);
    wait_until_counted(&rounds, 100);
    ready_and_wait();
    set(&stop);
    open_gate();
    for (auto &thread : throwing) finish(&thread);
    finish(&handler);
    return SURVIVED;
}
