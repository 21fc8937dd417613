/* A program with nothing special. */
#include "survive.h"

int main(void) {
    ready_and_wait();
    return SURVIVED;
}
