// Exceptions, iostreams, containers and thread-local objects, used all the time.
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

thread_local std::map<std::string, std::vector<std::unique_ptr<std::string>>> table;
thread_local unsigned long state = 1;

static unsigned long next() { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; }

static void insert(unsigned long number) {
    std::ostringstream text;
    text << std::hex << number << '/' << std::oct << number % 4096;
    auto &bucket = table[text.str().substr(0, 3)];
    if (bucket.size() > 20) throw std::length_error(text.str());
    bucket.push_back(std::make_unique<std::string>(text.str()));
}

int main() {
    for (int step = 0; step < 300; step++) {
        std::string longest;
        unsigned refused = 0;
        for (int i = 0; i < 3000; i++) {
            try {
                insert(next());
            } catch (const std::length_error &error) {
                refused++;
                longest = std::max(longest, std::string(error.what()));
                table.erase(longest.substr(0, 3));
            }
        }
        std::cout << step << ' ' << table.size() << ' ' << refused << ' ' << longest << '\n';
    }
    for (const auto &[key, bucket] : table) std::cout << key << ' ' << *bucket.back() << std::endl;
}
