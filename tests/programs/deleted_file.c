/* Deleted files: content with holes, permissions, times, attributes, several openings of one file, locks. */
#include "survive.h"
#include <sys/file.h>
#include <sys/xattr.h>

enum { MIB = 1 << 20 };

int main(void) {
    char content[PAGE], last[6];
    int fd = new_file("data", PAGE, 41), reader = open("data", O_RDONLY), copy = dup(fd);
    int appender = open("data", O_WRONLY | O_APPEND | O_CLOEXEC), path = open("data", O_PATH);
    CHECK(reader >= 0 && copy >= 0 && appender >= 0 && path >= 0);
    CHECK(pwrite(fd, "there", 5, 300 * MIB + 1) == 5 && lseek(fd, 100, SEEK_SET) == 100);
    CHECK(fchmod(fd, 0400) == 0 && read(reader, content, 7) == 7 && flock(reader, LOCK_SH) == 0);
    struct timespec times[] = {{1000000000, 1}, {900000000, 999999999}};
    static const char value[1000] = "\0with anything in it";
    int has_attributes = fsetxattr(fd, "user.ckpt", value, sizeof value, 0) == 0 && fsetxattr(fd, "user.empty", "", 0, 0) == 0;
    CHECK(has_attributes || errno == EOPNOTSUPP);
    CHECK(futimens(fd, times) == 0 && unlink("data") == 0);
    struct stat before, after;
    CHECK(fstat(fd, &before) == 0);
    ready_and_wait();
    CHECK(fstat(fd, &after) == 0 && after.st_size == before.st_size && after.st_mode == before.st_mode);
    CHECK(after.st_atim.tv_sec == times[0].tv_sec && after.st_atim.tv_nsec == times[0].tv_nsec);
    CHECK(after.st_mtim.tv_sec == times[1].tv_sec && after.st_mtim.tv_nsec == times[1].tv_nsec);
    char read_value[2000];
    if (has_attributes) {
        CHECK(fgetxattr(fd, "user.ckpt", read_value, sizeof read_value) == sizeof value);
        CHECK(memcmp(read_value, value, sizeof value) == 0 && fgetxattr(reader, "user.empty", read_value, 1) == 0);
    }
    CHECK(after.st_nlink == 0 && after.st_blocks < MIB / 512);
    CHECK(pread(reader, content, PAGE, 0) == PAGE && is_filled(content, PAGE, 41));
    CHECK(pread(fd, content, 1, MIB) == 1 && content[0] == 0);
    CHECK(pread(fd, last, 6, 300 * MIB + 1) == 5 && memcmp(last, "there", 5) == 0);
    CHECK(lseek(copy, 0, SEEK_CUR) == 100 && lseek(reader, 0, SEEK_CUR) == 7);
    CHECK(write(copy, "x", 1) == 1 && lseek(fd, 0, SEEK_CUR) == 101);
    CHECK(pread(reader, content, 1, 100) == 1 && content[0] == 'x');
    CHECK(write(appender, "end", 3) == 3 && fstat(reader, &after) == 0 && after.st_size == before.st_size + 3);
    CHECK(fcntl(appender, F_GETFD) == FD_CLOEXEC && fcntl(reader, F_GETFL) == (O_RDONLY | 0100000));
    CHECK(fcntl(path, F_GETFL) == O_PATH && write(reader, "x", 1) == -1);
    CHECK(flock(appender, LOCK_EX | LOCK_NB) == -1 && flock(reader, LOCK_UN) == 0);
    CHECK(flock(appender, LOCK_EX | LOCK_NB) == 0 && access("data", F_OK) == -1);
    return SURVIVED;
}
