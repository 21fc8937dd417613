/* Descriptors of many kinds: a restart makes some of them with others, or keeps what they are made with, and needs more for it. */
#include "survive.h"
#include <sys/socket.h>

enum { FILES = 50, UNNAMED = 100, PAIRS = 60, PTYS = 10 };

static int files[FILES], deleted[UNNAMED], in_memory[UNNAMED], pipes[PAIRS][2], sockets[PAIRS][2], ptys[PTYS][2];
static int last;

/* Descriptors 0 to 2 and the others have no gap, so no number is free for the restart. */
static int next(int fd) {
    CHECK(fd > last);
    return last = fd;
}

static void has(int fd, int i) {
    int content = -1;
    CHECK(read(fd, &content, sizeof content) == sizeof content && content == i);
}

int main(void) {
    char name[20];
    last = 2;
    for (int i = 0; i < UNNAMED; i++) {
        snprintf(name, sizeof name, "data%d", i);
        deleted[i] = next(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
        CHECK(unlink(name) == 0 && write(deleted[i], &i, sizeof i) == sizeof i && lseek(deleted[i], 0, SEEK_SET) == 0);
        in_memory[i] = next(memfd_create(name, 0));
        CHECK(write(in_memory[i], &i, sizeof i) == sizeof i && lseek(in_memory[i], 0, SEEK_SET) == 0);
    }
    for (int i = 0; i < PAIRS; i++) {
        CHECK(pipe(pipes[i]) == 0 && write(pipes[i][1], &i, sizeof i) == sizeof i);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets[i]) == 0 && write(sockets[i][1], &i, sizeof i) == sizeof i);
        next(sockets[i][1]);
    }
    for (int i = 0; i < PTYS; i++) {
        ptys[i][0] = next(posix_openpt(O_RDWR | O_NOCTTY));
        CHECK(grantpt(ptys[i][0]) == 0 && unlockpt(ptys[i][0]) == 0);
        ptys[i][1] = next(open(ptsname(ptys[i][0]), O_RDWR | O_NOCTTY));
    }
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "data%d", i);
        files[i] = next(new_file(name, 1024, i));
        CHECK(lseek(files[i], i, SEEK_SET) == i);
    }
    ready_and_wait();
    for (int i = 0; i < UNNAMED; i++) {
        has(deleted[i], i);
        has(in_memory[i], i);
    }
    for (int i = 0; i < PAIRS; i++) {
        has(pipes[i][0], i);
        has(sockets[i][0], i);
        CHECK(write(sockets[i][0], &i, sizeof i) == sizeof i);
        has(sockets[i][1], i);
    }
    for (int i = 0; i < PTYS; i++) {
        CHECK(write(ptys[i][1], "x", 1) == 1 && read(ptys[i][0], name, sizeof name) == 1 && name[0] == 'x');
    }
    for (int i = 0; i < FILES; i++) CHECK(lseek(files[i], 0, SEEK_CUR) == i);
    return SURVIVED;
}
