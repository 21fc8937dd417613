/* Event counters: count, also a large one, kind, flags; a duplicate refers to the same one. */
#include "survive.h"
#include <fcntl.h>
#include <sys/eventfd.h>

int main(void) {
    int plain = eventfd(7, 0), semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
    int large = eventfd(0, EFD_CLOEXEC), copy = dup2(plain, 100);
    uint64_t value = UINT64_MAX - 1;
    CHECK(plain >= 0 && semaphore >= 0 && copy == 100 && write(large, &value, 8) == 8);
    ready_and_wait();
    value = 5;
    CHECK(write(copy, &value, 8) == 8);
    CHECK(read(plain, &value, 8) == 8 && value == 12);
    for (int i = 0; i < 3; i++) CHECK(read(semaphore, &value, 8) == 8 && value == 1);
    CHECK(read(semaphore, &value, 8) == -1 && errno == EAGAIN);
    CHECK(fcntl(plain, F_GETFL) == O_RDWR && fcntl(large, F_GETFD) == FD_CLOEXEC);
    CHECK(read(large, &value, 8) == 8 && value == UINT64_MAX - 1);
    return SURVIVED;
}
