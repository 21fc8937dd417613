/* Watches on files keep their numbers, also with gaps between them; events that were not read become an overflow. */
#include "survive.h"
#include <sys/inotify.h>
#include <sys/ioctl.h>

static void make(const char *name) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
}

#define expect(...) expect_at(__LINE__, __VA_ARGS__)

/* Exactly one event is there, with this number, these flags, and this name. */
static void expect_at(int line, int fd, int number, uint32_t mask, const char *name) {
    char buffer[4096];
    struct inotify_event event;
    ssize_t length = read(fd, buffer, sizeof buffer);
    CHECK(length >= (ssize_t)sizeof event);
    memcpy(&event, buffer, sizeof event);
    int as_expected = event.wd == number && event.mask == mask && length == (ssize_t)(sizeof event + event.len) &&
                      (name ? strcmp(buffer + sizeof event, name) == 0 : event.len == 0);
    if (!as_expected) FAIL("line %d: watch %d, flags %x, %zd bytes", line, event.wd, event.mask, length);
}

static void expect_nothing(int fd) {
    int count;
    CHECK(ioctl(fd, FIONREAD, &count) == 0 && count == 0);
}

int main(void) {
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), unread = inotify_init(), empty = inotify_init(), copy = dup(fd);
    pid_t before = getpid();
    CHECK(fd >= 0 && unread >= 0 && empty >= 0 && mkdir("directory", 0777) == 0 && mkdir("other", 0777) == 0);
    make("file");
    CHECK(symlink("nowhere", "link") == 0);
    CHECK(inotify_add_watch(fd, "directory", IN_CREATE | IN_ONLYDIR) == 1);
    for (int number = 2; number < 100; number++) {
        CHECK(inotify_add_watch(fd, "other", IN_CREATE) == number && inotify_rm_watch(fd, number) == 0);
        expect(fd, number, IN_IGNORED, NULL);
    }
    CHECK(inotify_add_watch(fd, "./directory/../file", IN_MODIFY) == 100);
    CHECK(inotify_add_watch(fd, "link", IN_ATTRIB | IN_DONT_FOLLOW | IN_ONESHOT) == 101);
    CHECK(inotify_add_watch(fd, "file", IN_MODIFY | IN_CLOSE_WRITE | IN_MASK_ADD) == 100);
    CHECK(inotify_add_watch(unread, "directory", IN_CREATE) == 1);
    make("directory/early");
    expect(fd, 1, IN_CREATE, "early");
    ready_and_wait();
    CHECK(fcntl(fd, F_GETFL) == (O_RDONLY | O_NONBLOCK) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    if (getpid() == before)
        expect(unread, 1, IN_CREATE, "early");
    else
        expect(unread, -1, IN_Q_OVERFLOW, NULL);
    expect_nothing(fd);
    expect_nothing(unread);
    expect_nothing(empty);
    make("directory/late");
    expect(fd, 1, IN_CREATE, "late");
    expect(unread, 1, IN_CREATE, "late");
    int file = open("file", O_WRONLY);
    CHECK(write(file, "y", 1) == 1);
    expect(fd, 100, IN_MODIFY, NULL);
    CHECK(close(file) == 0);
    expect(copy, 100, IN_CLOSE_WRITE, NULL);
    CHECK(lchown("link", getuid(), getgid()) == 0 && read(fd, (char[100]){0}, 100) == 32);
    CHECK(inotify_add_watch(fd, "other", IN_CREATE) == 102);
    return SURVIVED;
}
