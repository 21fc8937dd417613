/* abort() reaches the program's handler after the restart. */
#include "survive.h"
#include <signal.h>

static void on_abort(int signal) {
    (void)signal;
    _exit(SURVIVED);
}

int main(void) {
    signal(SIGABRT, on_abort);
    ready_and_wait();
    abort();
}
