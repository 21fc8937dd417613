/* Threads that open named pipes, which takes until somebody opens the other end. */
//# cflags: -pthread
#include "thread.h"

static int opened[2];

static void *open_for_reading(void *argument) {
    char text[6];
    int fd = open("first", O_RDONLY);
    CHECK(fd >= 0);
    set(&opened[0]);
    CHECK(read(fd, text, sizeof text) == 6 && strcmp(text, "hello") == 0);
    return argument;
}

static void *open_for_writing(void *argument) {
    int fd = open("second", O_WRONLY);
    CHECK(fd >= 0);
    set(&opened[1]);
    CHECK(write(fd, "world", 6) == 6);
    return argument;
}

int main(void) {
    struct thread reader, writer;
    char text[6];
    CHECK(mkfifo("first", 0600) == 0 && mkfifo("second", 0600) == 0);
    start(&reader, open_for_reading, NULL);
    start(&writer, open_for_writing, NULL);
    wait_until_in(&reader, SYS_openat);
    wait_until_in(&writer, SYS_openat);
    ready_and_wait();
    CHECK(!is_set(&opened[0]) && !is_set(&opened[1]));
    int first = open("first", O_WRONLY), second = open("second", O_RDONLY);
    CHECK(first >= 0 && second >= 0 && write(first, "hello", 6) == 6);
    finish(&reader);
    finish(&writer);
    CHECK(read(second, text, sizeof text) == 6 && strcmp(text, "world") == 0);
    return SURVIVED;
}
