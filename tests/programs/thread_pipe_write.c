/* Threads that write more than a pipe holds: at once, and in small pieces. Nothing is lost, repeated or cut short. */
//# cflags: -pthread
#include "thread.h"

enum { SIZE = 1 << 20, COUNT = 2, PIECE = 4080 };

static int ends[COUNT][2];
static char *content[COUNT];

static void *write_all(void *argument) {
    int fd = ends[0][1];
    CHECK(write(fd, content[0], SIZE) == SIZE);
    return argument;
}

/* Pieces of at most PIPE_BUF bytes are written whole or not at all. */
static void *write_pieces(void *argument) {
    for (int at = 0; at < SIZE; at += PIECE) {
        int size = SIZE - at < PIECE ? SIZE - at : PIECE;
        CHECK(write(ends[1][1], content[1] + at, (size_t)size) == size);
    }
    return argument;
}

int main(void) {
    void *(*const runs[])(void *) = {write_all, write_pieces};
    static const long numbers[] = {SYS_write, SYS_write};
    struct thread threads[COUNT];
    char *seen = map(SIZE, PROT_READ | PROT_WRITE);
    for (int i = 0; i < COUNT; i++) {
        content[i] = map(SIZE, PROT_READ | PROT_WRITE);
        fill(content[i], SIZE, 95 + i);
        CHECK(pipe(ends[i]) == 0);
        start(&threads[i], runs[i], NULL);
    }
    for (int i = 0; i < COUNT; i++) wait_until_in(&threads[i], numbers[i]);
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        for (ssize_t at = 0, got; at < SIZE; at += got)
            CHECK((got = read(ends[i][0], seen + at, SIZE - at)) > 0);
        CHECK(memcmp(seen, content[i], SIZE) == 0);
        finish(&threads[i]);
    }
    return SURVIVED;
}
