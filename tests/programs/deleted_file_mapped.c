/* Deleted files that are mapped shared, on a disk and in /dev/shm, with a descriptor left and with none: one memory. */
//# max-image: 16M
#include "survive.h"

enum { SIZE = 16 * PAGE };

static char *view(int fd, size_t size, int protection, off_t offset) {
    char *memory = mmap(NULL, size, protection, MAP_SHARED, fd, offset);
    CHECK(memory != MAP_FAILED);
    return memory;
}

int main(void) {
    int open_one = new_file("open", SIZE + 10, 1), gone = new_file("gone", SIZE, 2), seen = new_file("seen", SIZE, 3);
    char name[64], byte, *views[4], *pair[2], *shm;
    snprintf(name, sizeof name, "/dev/shm/ckpt-test-%d", getpid());
    int in_memory = new_file(name, PAGE, 4);
    CHECK(ftruncate(in_memory, 1L << 30) == 0);
    views[0] = view(open_one, SIZE + PAGE, PROT_READ | PROT_WRITE, 0);
    views[1] = view(open_one, SIZE / 2, PROT_READ, SIZE / 2);
    views[2] = view(gone, SIZE, PROT_READ | PROT_WRITE, 0);
    views[3] = view(gone, PAGE, PROT_READ | PROT_WRITE, SIZE - PAGE);
    int reading = open("seen", O_RDONLY);
    pair[0] = view(seen, SIZE, PROT_READ | PROT_WRITE, 0), pair[1] = view(reading, SIZE, PROT_READ, 0);
    shm = view(in_memory, 1L << 30, PROT_READ | PROT_WRITE, 0);
    shm[1 << 29] = 'm';
    CHECK(unlink("open") == 0 && unlink("gone") == 0 && unlink("seen") == 0 && unlink(name) == 0);
    CHECK(close(gone) == 0 && close(seen) == 0 && close(reading) == 0 && close(in_memory) == 0);
    ready_and_wait();
    CHECK(is_filled(views[0], SIZE, 1) && memcmp(views[0] + SIZE / 2, views[1], SIZE / 2) == 0);
    views[0][SIZE / 2] ^= 1;
    CHECK(views[1][0] == views[0][SIZE / 2] && pread(open_one, &byte, 1, SIZE / 2) == 1 && byte == views[1][0]);
    struct stat stat;
    CHECK(fstat(open_one, &stat) == 0 && stat.st_size == SIZE + 10 && stat.st_nlink == 0);
    CHECK(is_filled(views[2], SIZE, 2) && memcmp(views[2] + SIZE - PAGE, views[3], PAGE) == 0);
    views[3][0] ^= 1;
    CHECK(views[2][SIZE - PAGE] == views[3][0]);
    CHECK(is_filled(pair[1], SIZE, 3));
    pair[0][9] ^= 1;
    CHECK(pair[1][9] == pair[0][9] && mprotect(pair[1], SIZE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
    CHECK(is_filled(shm, PAGE, 4) && shm[1 << 29] == 'm');
    return SURVIVED;
}
