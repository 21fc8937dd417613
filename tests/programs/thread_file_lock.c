/* Threads wait for locks on files: of flock, of an open file description, and of the process. The program itself holds the
 * first two across the checkpoint, in another thread than the one that waits; another process holds the third. */
#include "thread.h"
#include <sys/file.h>
#include <sys/wait.h>

static const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
static const struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
static int taken;

static int open_file(const char *name) {
    const int fd = open(name, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0);
    return fd;
}

static void *take_flock(void *fd) {
    CHECK(flock(*(int *)fd, LOCK_EX) == 0);
    count_up(&taken);
    return NULL;
}

static void *take_description_lock(void *fd) {
    struct flock lock = whole;
    CHECK(fcntl(*(int *)fd, F_OFD_SETLKW, &lock) == 0);
    count_up(&taken);
    return NULL;
}

static void *take_process_lock(void *fd) {
    struct flock lock = whole;
    CHECK(fcntl(*(int *)fd, F_SETLKW, &lock) == 0);
    count_up(&taken);
    return NULL;
}

/* A process that is not a child of ours holds the lock until the release. It is made before our own locks are taken: it would
 * hold them, too, as long as it has the same open file descriptions. */
static void let_somebody_lock(const char *name) {
    int told[2];
    char byte;
    CHECK(pipe(told) == 0);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (fork() != 0) _exit(0);
        struct flock lock = whole;
        CHECK(setsid() > 0); /* what is left of the test's process group is killed before each restart */
        alarm(300);
        CHECK(fcntl(open_file(name), F_SETLK, &lock) == 0 && write(told[1], "x", 1) == 1);
        while (access("release", F_OK) != 0) usleep(1000);
        _exit(0);
    }
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(close(told[1]) == 0 && read(told[0], &byte, 1) == 1 && close(told[0]) == 0);
}

int main(void) {
    let_somebody_lock("process");
    const int flocked = open_file("flock"), described = open_file("description");
    struct flock lock = whole, unlock = none;
    CHECK(flock(flocked, LOCK_EX) == 0 && fcntl(described, F_OFD_SETLK, &lock) == 0);

    int files[] = {open_file("flock"), open_file("description"), open_file("process")};
    void *(*const take[])(void *) = {take_flock, take_description_lock, take_process_lock};
    const long calls[] = {SYS_flock, SYS_fcntl, SYS_fcntl};
    struct thread threads[LENGTH(files)];
    memset(threads, 0, sizeof threads);
    for (int i = 0; i < LENGTH(files); i++) start(&threads[i], take[i], &files[i]);
    for (int i = 0; i < LENGTH(files); i++) wait_until_in(&threads[i], calls[i]);

    ready_and_wait();
    CHECK(taken <= 1); /* the other process may have ended already */
    CHECK(flock(flocked, LOCK_UN) == 0 && fcntl(described, F_OFD_SETLK, &unlock) == 0);
    for (int i = 0; i < LENGTH(files); i++) finish(&threads[i]);
    CHECK(taken == 3 && flock(flocked, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK);
    return SURVIVED;
}
