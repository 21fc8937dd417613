/* The locks of streams: held by a thread while others wait, and taken and given back all the time. */
//# cflags: -pthread
#include "thread.h"

static FILE *output, *nowhere, *zeros;
static int held, rounds, stop;

static void *hold(void *argument) {
    flockfile(output);
    CHECK(ftrylockfile(output) == 0 && fputs("first ", output) >= 0);
    set(&held);
    wait_at_gate();
    CHECK(fputs("second ", output) >= 0);
    funlockfile(output);
    CHECK(fputs("third", output) >= 0);
    funlockfile(output);
    return argument;
}

static void *append(void *argument) {
    CHECK(fputs(" fourth", output) >= 0);
    return argument;
}

static void *print(void *argument) {
    while (!is_set(&stop)) {
        CHECK(fprintf(nowhere, "line %d, %s\n", rounds, "which is longer than the buffer") > 0);
        CHECK(getc(zeros) == 0);
        count_up(&rounds);
    }
    return argument;
}

int main(void) {
    struct thread holder, waiter, printers[2];
    char line[100];
    output = fopen("output", "w");
    nowhere = fopen("/dev/null", "w");
    zeros = fopen("/dev/zero", "r");
    CHECK(output && nowhere && zeros && setvbuf(nowhere, NULL, _IOFBF, 32) == 0);
    start(&holder, hold, NULL);
    wait_until_set(&held);
    start(&waiter, append, NULL);
    for (int i = 0; i < 2; i++) start(&printers[i], print, NULL);
    wait_until_in(&waiter, SYS_futex);
    wait_until_counted(&rounds, 100);
    ready_and_wait();
    CHECK(ftrylockfile(output) != 0);
    open_gate();
    set(&stop);
    finish(&holder);
    finish(&waiter);
    for (int i = 0; i < 2; i++) finish(&printers[i]);
    CHECK(fclose(output) == 0 && (output = fopen("output", "r")) && fgets(line, sizeof line, output));
    CHECK(strcmp(line, "first second third fourth") == 0);
    return SURVIVED;
}
