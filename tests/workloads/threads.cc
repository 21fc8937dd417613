// std::thread, std::async, condition variables, shared locks, and exceptions that are in flight in many threads at once.
//# cflags: -std=c++17 -pthread
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static const int THREADS = 4, STEPS = 60, TASKS = 24;

thread_local std::map<std::string, unsigned> seen;
static std::shared_mutex totals_lock;
static std::map<std::string, unsigned long> totals;
static std::once_flag once;

// Works while an exception passes by.
struct Unwound {
    std::string name;
    unsigned long &sum;
    ~Unwound() {
        std::ostringstream text;
        for (int i = 0; i < 20; i++) text << name << i;
        sum += std::hash<std::string>()(text.str()) % 1000;
    }
};

static void descend(int depth, unsigned long number, unsigned long &sum) {
    Unwound here{"at " + std::to_string(depth), sum};
    if (depth == 0) throw std::runtime_error("bottom " + std::to_string(number));
    try {
        descend(depth - 1, number, sum);
    } catch (const std::invalid_argument &) {
        sum = 0;
    }
}

static std::string work(unsigned long number) {
    std::call_once(once, [] {
        std::unique_lock lock(totals_lock);
        totals["once"]++;
    });
    unsigned long sum = 0, state = number;
    std::string caught;
    for (int i = 0; i < 25; i++) {
        try {
            descend(12, state % 100, sum);
        } catch (const std::exception &error) {
            caught = error.what();
            seen[caught]++;
        }
        for (int j = 0; j < 4000; j++) state = (state * 6364136223846793005u + 1442695040888963407u) ^ sum;
        state >>= 7;
        std::shared_lock lock(totals_lock);
        sum += totals.count("bottom 5");
        sum -= totals.count("bottom 5");
    }
    std::unique_lock lock(totals_lock);
    totals[caught] += sum;
    if (number % 5 == 0) throw std::out_of_range(std::to_string(sum) + " at " + std::to_string(number));
    return std::to_string(sum) + ' ' + caught;
}

class Pool {
    std::mutex lock;
    std::condition_variable changed;
    std::deque<std::packaged_task<std::string()>> tasks;
    bool ended = false;
    std::vector<std::thread> threads;

    void serve() {
        for (std::unique_lock held(lock);;) {
            changed.wait(held, [this] { return ended || !tasks.empty(); });
            if (tasks.empty()) return;
            auto task = std::move(tasks.front());
            tasks.pop_front();
            held.unlock();
            task();
            held.lock();
        }
    }

  public:
    Pool() {
        for (int i = 0; i < THREADS; i++) threads.emplace_back(&Pool::serve, this);
    }
    ~Pool() {
        {
            std::lock_guard held(lock);
            ended = true;
        }
        changed.notify_all();
        for (auto &thread : threads) thread.join();
    }
    std::future<std::string> submit(unsigned long number) {
        std::packaged_task<std::string()> task([number] { return work(number); });
        auto future = task.get_future();
        std::lock_guard held(lock);
        tasks.push_back(std::move(task));
        changed.notify_one();
        return future;
    }
};

int main() {
    Pool pool;
    for (int step = 0; step < STEPS; step++) {
        std::vector<std::future<std::string>> futures;
        for (int i = 0; i < TASKS; i++) {
            const unsigned long number = step * TASKS + i;
            futures.push_back(i % 6 ? pool.submit(number) : std::async(std::launch::async, work, number));
        }
        for (auto &future : futures) {
            try {
                std::cout << step << ' ' << future.get() << '\n';
            } catch (const std::out_of_range &error) {
                std::cout << step << " thrown: " << error.what() << std::endl;
            }
        }
    }
    for (const auto &[name, total] : totals) std::cout << name << ' ' << total << '\n';
}
