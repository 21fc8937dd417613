/* Memory that is locked, at once or as far as it is used, also where no page can be had, and that what is mapped in future will be. */
#include "smaps.h"

enum { SIZE = 16 * PAGE };

int main(void) {
    char *locked = map(SIZE, PROT_READ | PROT_WRITE), *on_fault = map(3 * SIZE, PROT_READ | PROT_WRITE) + SIZE, *future;
    fill(locked, SIZE, 1);
    CHECK(mlock(locked, SIZE) == 0);
    if (mlock2(on_fault, SIZE, MLOCK_ONFAULT) == -1) on_fault = NULL;
    if (on_fault) fill(on_fault, PAGE, 2);
    char *guard = map(3 * PAGE, PROT_NONE) + PAGE;
    CHECK(mlock(guard, PAGE) == -1 && errno == ENOMEM && has_flag(guard, "lo"));
    CHECK(mlockall(MCL_FUTURE | MCL_ONFAULT) == 0);
    ready_and_wait();
    unsigned char there[SIZE / PAGE];
    CHECK(is_filled(locked, SIZE, 1) && has_flag(locked, "lo") && !has_flag(locked, "lf"));
    CHECK(has_flag(guard, "lo") && !has_flag(guard, "lf") && !has_flag(guard + PAGE, "lo"));
    if (on_fault) {
        CHECK(has_flag(on_fault, "lo") && has_flag(on_fault, "lf") && is_filled(on_fault, PAGE, 2));
        CHECK(mincore(on_fault, SIZE, there) == 0 && there[0] & 1);
        CHECK(!has_flag(on_fault - PAGE, "lo"));
        for (int i = 1; i < SIZE / PAGE; i++) CHECK(!(there[i] & 1));
    }
    future = map(SIZE, PROT_READ | PROT_WRITE);
    CHECK(has_flag(future, "lo") && has_flag(future, "lf"));
    CHECK(mlockall(MCL_CURRENT) == 0);
    future = map(2 * SIZE, PROT_READ | PROT_WRITE);
    CHECK(!has_flag(future, "lo"));
    return SURVIVED;
}
