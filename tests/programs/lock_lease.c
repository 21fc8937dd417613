/* Leases of both kinds. */
#include "survive.h"

int main(void) {
    CHECK(close(new_file("shared", 8, 1)) == 0);
    int shared = open("shared", O_RDONLY), exclusive = new_file("exclusive", 8, 2);
    CHECK(fcntl(shared, F_SETLEASE, F_RDLCK) == 0 && fcntl(exclusive, F_SETLEASE, F_WRLCK) == 0);
    ready_and_wait();
    CHECK(fcntl(shared, F_GETLEASE) == F_RDLCK && fcntl(exclusive, F_GETLEASE) == F_WRLCK);
    return SURVIVED;
}
