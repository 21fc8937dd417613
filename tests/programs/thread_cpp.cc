// C++: std::thread, std::async, futures, mutexes, conditions, latches, stop tokens, and a static that is being made.
//# cflags: -pthread -std=c++20
//# memory: changes
#include "thread.h"
#include <barrier>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

static std::mutex guard;
static std::shared_mutex shared;
static std::condition_variable condition, short_of_time;
static std::atomic<int> level{0};
static bool go;
static int ready, beginning, made;

struct Slow {
    Slow() {
        count_up(&ready);
        wait_at_gate();
        made++;
    }
};

static void make_the_static() { static Slow slow; }

int main() {
    std::promise<int> promise;
    std::shared_future<int> future = promise.get_future().share();
    std::latch latch(3);
    std::barrier barrier(3);

    std::vector<std::thread> threads;
    for (int i = 0; i < 2; i++)
        threads.emplace_back([&] {
            std::unique_lock lock(guard);
            count_up(&ready);
            condition.wait(lock, [] { return go; });
        });
    for (int i = 0; i < 2; i++)
        threads.emplace_back([&] {
            count_up(&ready);
            latch.arrive_and_wait();
            barrier.arrive_and_wait();
        });
    threads.emplace_back([] {
        count_up(&ready);
        level.wait(0);
        CHECK(level == 1);
    });
    threads.emplace_back([] {
        std::shared_lock lock(shared);
        count_up(&ready);
        wait_at_gate();
    });
    for (int i = 0; i < 2; i++)
        threads.emplace_back([] {
            count_up(&beginning);
            make_the_static();
            CHECK(made == 1);
        });
    threads.emplace_back([] {
        auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(900);
        std::mutex mutex;
        std::unique_lock lock(mutex);
        count_up(&ready);
        CHECK(!short_of_time.wait_until(lock, limit, [] { return false; }));
        CHECK(std::chrono::steady_clock::now() >= limit);
    });
    std::jthread stoppable([](std::stop_token token) {
        std::condition_variable_any any;
        std::mutex mutex;
        std::unique_lock lock(mutex);
        count_up(&ready);
        CHECK(!any.wait(lock, token, [] { return false; }));
    });
    auto sum = std::async(std::launch::async, [future] {
        std::vector<int> numbers(1000);
        std::iota(numbers.begin(), numbers.end(), 0);
        count_up(&ready);
        return std::accumulate(numbers.begin(), numbers.end(), future.get());
    });
    auto failing = std::async(std::launch::async, [future]() -> int {
        count_up(&ready);
        throw std::runtime_error(std::to_string(future.get()));
    });

    wait_until_counted(&ready, 11);
    wait_until_counted(&beginning, 2);
    ready_and_wait();
    CHECK(sum.wait_for(std::chrono::seconds(0)) == std::future_status::timeout && made == 0);
    CHECK(!shared.try_lock() && shared.try_lock_shared());
    shared.unlock_shared();
    {
        std::lock_guard lock(guard);
        go = true;
    }
    condition.notify_all();
    latch.arrive_and_wait();
    barrier.arrive_and_wait();
    level = 1;
    level.notify_all();
    stoppable.request_stop();
    promise.set_value(42);
    open_gate();
    for (auto &thread : threads) thread.join();
    CHECK(sum.get() == 1000 * 999 / 2 + 42);
    try {
        failing.get();
    } catch (const std::runtime_error &error) {
        return error.what() == std::string("42") ? SURVIVED : 1;
    }
    return 2;
}
