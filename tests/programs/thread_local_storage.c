/* Thread-local variables, errno among them. */
#include "survive.h"

static __thread int counter = 7;
static __thread char text[3000];

int main(void) {
    counter++;
    strcpy(text, "still here");
    errno = ENOTNAM;
    ready_and_wait();
    CHECK(errno == ENOTNAM);
    CHECK(counter == 8 && strcmp(text, "still here") == 0);
    return SURVIVED;
}
