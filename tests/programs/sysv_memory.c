/* System V shared memory that was removed already: attached where it was, also twice, for reading only, and in parts. */
#include "survive.h"
#include <sys/shm.h>

enum { SIZE = 8 * PAGE };

static char *attach(int id, int flags) {
    char *memory = shmat(id, NULL, flags);
    CHECK(memory != (void *)-1);
    return memory;
}

int main(void) {
    char content[SIZE];
    int odd = shmget(IPC_PRIVATE, SIZE - 100, 0640), torn = shmget(IPC_PRIVATE, SIZE, 0600);
    CHECK(odd >= 0 && torn >= 0);
    char *first = attach(odd, 0), *second = attach(odd, 0), *reading = attach(odd, SHM_RDONLY);
    char *parts = attach(torn, 0), *whole = attach(torn, 0);
    CHECK(shmctl(odd, IPC_RMID, NULL) == 0 && shmctl(torn, IPC_RMID, NULL) == 0);
    fill(first, SIZE - 104, 1);
    fill(whole, SIZE, 2);
    fill(content, SIZE, 2);
    CHECK(munmap(parts, PAGE) == 0 && munmap(parts + 4 * PAGE, PAGE) == 0 && mprotect(parts + 2 * PAGE, PAGE, PROT_READ) == 0);
    ready_and_wait();
    CHECK(is_filled(first, SIZE - 104, 1) && is_filled(reading, SIZE - 104, 1));
    first[5] ^= 1;
    CHECK(second[5] == first[5] && reading[5] == first[5]);
    CHECK(mprotect(reading, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
    CHECK(memcmp(whole, content, SIZE) == 0 && memcmp(parts + PAGE, content + PAGE, 3 * PAGE) == 0);
    CHECK(memcmp(parts + 5 * PAGE, content + 5 * PAGE, 3 * PAGE) == 0);
    whole[5 * PAGE] ^= 1;
    CHECK(parts[5 * PAGE] == whole[5 * PAGE] && mprotect(parts + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    CHECK(shmdt(first) == 0 && shmdt(second) == 0 && shmdt(reading) == 0 && shmdt(parts) == 0 && shmdt(whole) == 0);
    return SURVIVED;
}
