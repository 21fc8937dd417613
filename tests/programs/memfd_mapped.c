/* Files in memory that are mapped shared: one memory for all mappings and descriptors, with a descriptor left or none;
   code beside its writable view; views that can only be read; mappings behind the end; seals. */
#include "survive.h"
#include <setjmp.h>
#include <signal.h>

enum { SIZE = 64 * PAGE };

static sigjmp_buf before_access;

static void on_bus_error(int signal) {
    (void)signal;
    siglongjmp(before_access, 1);
}

static int is_bus_error(const char *at) {
    if (sigsetjmp(before_access, 1) == 0) return *(const volatile char *)at, 0;
    return 1;
}

static char *view(int fd, size_t size, int protection, off_t offset) {
    char *memory = mmap(NULL, size, protection, MAP_SHARED, fd, offset);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static int new_memory(const char *name, unsigned flags, off_t size) {
    int fd = memfd_create(name, flags);
    CHECK(fd >= 0 && ftruncate(fd, size) == 0);
    return fd;
}

static int for_reading(int fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reading = open(path, O_RDONLY);
    CHECK(reading >= 0);
    return reading;
}

static int cannot_be_written(char *memory) { return mprotect(memory, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES; }

int main(void) {
    signal(SIGBUS, on_bus_error);
    /* With descriptors: what is mapped overlaps, and some of it is not mapped at all. */
    int open_one = new_memory("open", 0, SIZE), reading = for_reading(open_one);
    char *low = view(open_one, SIZE / 2, PROT_READ | PROT_WRITE, 0);
    char *middle = view(open_one, SIZE / 2, PROT_READ, SIZE / 4), *read_only = view(reading, PAGE, PROT_READ, 0);
    char content[SIZE];
    fill(content, SIZE, 1);
    CHECK(pwrite(open_one, content, SIZE, 0) == SIZE);
    /* Without: the middle is seen twice, and the end once, without any permission. */
    int gone = new_memory("gone", 0, SIZE + 2 * PAGE);
    char *first = view(gone, SIZE / 2, PROT_READ | PROT_WRITE, 0), *second = view(gone, SIZE / 2, PROT_READ | PROT_WRITE, SIZE / 4);
    char *last = view(gone, 4 * PAGE, PROT_READ | PROT_WRITE, SIZE - 2 * PAGE);
    fill(first, SIZE / 2, 2);
    fill(last, 2 * PAGE, 3);
    CHECK(mprotect(last, 4 * PAGE, PROT_NONE) == 0 && close(gone) == 0);
    /* Only for reading, and without a descriptor. */
    int lonely = new_memory("lonely", 0, PAGE), lonely_reading = for_reading(lonely);
    CHECK(pwrite(lonely, content, PAGE, 0) == PAGE);
    char *lonely_view = view(lonely_reading, PAGE, PROT_READ, 0);
    CHECK(close(lonely) == 0 && close(lonely_reading) == 0);
    /* Code, and the view through which it is written: mov eax, imm32; ret. */
    int code = new_memory("code", MFD_CLOEXEC, PAGE);
    char *writable = view(code, PAGE, PROT_READ | PROT_WRITE, 0);
    int (*function)(void) = (int (*)(void))view(code, PAGE, PROT_READ | PROT_EXEC, 0);
    memcpy(writable, "\xb8\x2a\x00\x00\x00\xc3", 6);
    CHECK(close(code) == 0);
    /* Shorter than its mappings: with a descriptor it grows, and without, it stays as it is. */
    int growing = new_memory("growing", 0, PAGE + 100);
    char *beyond = view(growing, 4 * PAGE, PROT_READ | PROT_WRITE, 0);
    int cut = new_memory("cut", 0, 3 * PAGE);
    char *cut_view = view(cut, 4 * PAGE, PROT_READ | PROT_WRITE, 0);
    beyond[PAGE] = 'a', cut_view[0] = 'b';
    CHECK(close(cut) == 0);
    /* Sealed, after it was mapped for writing, and against being written at all. */
    int future = new_memory("future", MFD_ALLOW_SEALING, PAGE), sealed = new_memory("sealed", MFD_ALLOW_SEALING, PAGE);
    char *future_view = view(future, PAGE, PROT_READ | PROT_WRITE, 0);
    CHECK(fcntl(future, F_ADD_SEALS, 0x10 /* F_SEAL_FUTURE_WRITE */ | F_SEAL_GROW) == 0);
    CHECK(pwrite(sealed, "kept", 4, 0) == 4 && fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    char *sealed_view = view(for_reading(sealed), PAGE, PROT_READ, 0);
    ready_and_wait();
    CHECK(is_filled(low, SIZE / 2, 1) && memcmp(middle, content + SIZE / 4, SIZE / 2) == 0);
    char byte;
    low[0] ^= 1, low[SIZE / 4] ^= 2;
    CHECK(read_only[0] == low[0] && middle[0] == low[SIZE / 4]);
    CHECK(pread(open_one, &byte, 1, 0) == 1 && byte == low[0] && pwrite(open_one, "z", 1, 5) == 1 && read_only[5] == 'z');
    CHECK(pread(reading, &byte, 1, SIZE - 1) == 1 && byte == content[SIZE - 1] && cannot_be_written(read_only));
    CHECK(is_filled(first, SIZE / 2, 2) && memcmp(first + SIZE / 4, second, SIZE / 4) == 0);
    second[7] ^= 1;
    CHECK(first[SIZE / 4 + 7] == second[7] && second[SIZE / 4] == 0);
    CHECK(mprotect(last, 4 * PAGE, PROT_READ) == 0 && is_filled(last, 2 * PAGE, 3) && last[4 * PAGE - 1] == 0);
    CHECK(memcmp(lonely_view, content, PAGE) == 0 && cannot_be_written(lonely_view));
    CHECK(function() == 42);
    writable[1] = 43;
    CHECK(function() == 43);
    CHECK(beyond[PAGE] == 'a' && is_bus_error(beyond + 2 * PAGE));
    struct stat stat;
    CHECK(fstat(growing, &stat) == 0 && stat.st_size == PAGE + 100);
    CHECK(ftruncate(growing, 4 * PAGE) == 0 && !is_bus_error(beyond + 2 * PAGE));
    CHECK(cut_view[0] == 'b' && !is_bus_error(cut_view + 2 * PAGE) && is_bus_error(cut_view + 3 * PAGE));
    future_view[0] = 'f';
    CHECK(pread(future, &byte, 1, 0) == 1 && byte == 'f' && pwrite(future, "x", 1, 0) == -1 && errno == EPERM);
    CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, future, 0) == MAP_FAILED && errno == EPERM);
    CHECK(memcmp(sealed_view, "kept", 4) == 0 && cannot_be_written(sealed_view));
    CHECK(fcntl(sealed, F_GET_SEALS) == F_SEAL_WRITE);
    return SURVIVED;
}
