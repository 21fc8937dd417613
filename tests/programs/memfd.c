/* Files in memory: content, holes, length, seals, permissions, owner, several descriptions with offsets and flags, locks. */
#include "survive.h"

enum { LARGE = 64 << 20, SEALS = F_SEAL_SHRINK | F_SEAL_WRITE };

static int again(int fd, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int new = open(path, flags);
    CHECK(new >= 0);
    return new;
}

static off_t offset(int fd) { return lseek(fd, 0, SEEK_CUR); }

static int is_locked(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_start = 5, .l_len = 1};
    CHECK(fcntl(fd, F_OFD_GETLK, &lock) == 0);
    return lock.l_type != F_UNLCK;
}

int main(void) {
    char content[3 * PAGE], seen[3 * PAGE], name[64];
    fill(content, sizeof content, 23);
    int empty = memfd_create("", 0), plain = memfd_create("the name", MFD_CLOEXEC);
    int sealed = memfd_create("sealed", MFD_ALLOW_SEALING), sparse = memfd_create("sparse", MFD_ALLOW_SEALING);
    CHECK(write(plain, content, sizeof content) == sizeof content && lseek(plain, 100, SEEK_SET) == 100);
    int copy = dup(plain), reading = again(plain, O_RDONLY), adding = again(plain, O_WRONLY | O_APPEND);
    CHECK(lseek(reading, 7, SEEK_SET) == 7 && fchmod(plain, 0640) == 0);
    uid_t owner = geteuid() == 0 ? 12345 : geteuid();
    CHECK(fchown(plain, owner, -1) == 0);
    CHECK(write(sealed, "kept", 4) == 4 && fcntl(sealed, F_ADD_SEALS, SEALS) == 0);
    CHECK(ftruncate(sparse, LARGE) == 0 && pwrite(sparse, "a", 1, LARGE / 2) == 1 && pwrite(sparse, "b", 1, 5) == 1);
    struct flock lock = {.l_type = F_WRLCK, .l_start = 5, .l_len = 1};
    CHECK(fcntl(sparse, F_OFD_SETLK, &lock) == 0);
    int plain_flags = fcntl(plain, F_GETFL), adding_flags = fcntl(adding, F_GETFL);
    ready_and_wait();
    snprintf(name, sizeof name, "/proc/self/fd/%d", plain);
    ssize_t length = readlink(name, seen, sizeof seen - 1);
    CHECK(length > 0 && (seen[length] = 0) == 0 && strcmp(seen, "/memfd:the name (deleted)") == 0);
    struct stat stat;
    CHECK(fstat(plain, &stat) == 0 && (stat.st_mode & 07777) == 0640 && stat.st_size == sizeof content);
    CHECK(stat.st_uid == owner);
    CHECK(fstat(empty, &stat) == 0 && stat.st_size == 0);
    CHECK(fcntl(plain, F_GETFL) == plain_flags && fcntl(adding, F_GETFL) == adding_flags);
    CHECK(fcntl(plain, F_GETFD) == FD_CLOEXEC && fcntl(copy, F_GETFD) == 0);
    CHECK(offset(plain) == 100 && offset(reading) == 7 && lseek(copy, 200, SEEK_SET) == 200 && offset(plain) == 200);
    CHECK(pread(reading, seen, sizeof seen, 0) == sizeof seen && memcmp(seen, content, sizeof seen) == 0);
    CHECK(write(reading, "x", 1) == -1 && errno == EBADF);
    CHECK(write(adding, "end", 3) == 3 && pread(plain, seen, 10, sizeof content) == 3 && memcmp(seen, "end", 3) == 0);
    CHECK(fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL && fcntl(sparse, F_GET_SEALS) == 0);
    CHECK(fcntl(sealed, F_GET_SEALS) == SEALS && pwrite(sealed, "x", 1, 0) == -1 && errno == EPERM);
    CHECK(pread(sealed, seen, 10, 0) == 4 && memcmp(seen, "kept", 4) == 0);
    CHECK(fstat(sparse, &stat) == 0 && stat.st_size == LARGE && stat.st_blocks * 512 < LARGE / 8);
    CHECK(pread(sparse, seen, 1, LARGE / 2) == 1 && *seen == 'a' && pread(sparse, seen, 1, 5) == 1 && *seen == 'b');
    CHECK(pread(sparse, seen, 1, LARGE / 3) == 1 && *seen == 0);
    CHECK(!is_locked(sparse) && is_locked(again(sparse, O_RDWR)));
    return SURVIVED;
}
