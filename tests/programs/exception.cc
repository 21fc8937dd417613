// An exception that is being handled at the time of the checkpoint, and exceptions after it.
#include "survive.h"
#include <exception>
#include <stdexcept>
#include <string>

static void handle() {
    try {
        throw std::runtime_error(std::string(1000, 'x'));
    } catch (const std::runtime_error &error) {
        ready_and_wait();
        CHECK(std::string(error.what()) == std::string(1000, 'x'));
        CHECK(std::current_exception() != nullptr && std::uncaught_exceptions() == 0);
        throw;
    }
}

int main() {
    try {
        handle();
    } catch (const std::exception &error) {
        try {
            throw 7;
        } catch (int seven) {
            return seven == 7 && std::string(error.what()).size() == 1000 ? SURVIVED : 1;
        }
    }
    return 2;
}
