/* System V shared memory with a key: it is there under its key, with its length and permissions, and attached. */
#include "survive.h"
#include <sys/shm.h>

enum { SIZE = 8 * PAGE, LENGTH = SIZE - 100 };

int main(void) {
    struct shmid_ds about;
    CHECK(close(new_file("key", 0, 0)) == 0);
    key_t key = ftok("key", 'k');
    int id = shmget(key, LENGTH, IPC_CREAT | IPC_EXCL | 0640);
    char *memory = shmat(id, NULL, 0);
    CHECK(key != -1 && memory != (void *)-1);
    fill(memory, SIZE / 2, 1);
    ready_and_wait();
    int now = shmget(key, 0, 0), stays = now == id || geteuid() != 0;
    char *again = shmat(now, NULL, 0);
    CHECK(now >= 0 && again != (void *)-1 && shmctl(now, IPC_STAT, &about) == 0);
    /* It would stay for good. */
    CHECK(shmctl(now, IPC_RMID, NULL) == 0);
    /* Where it is gone, it takes a privilege to have it back under its id. */
    CHECK(stays && about.shm_segsz == LENGTH && (about.shm_perm.mode & 0777) == 0640 && is_filled(memory, SIZE / 2, 1));
    CHECK(memory[SIZE / 2] == 0 && memory[LENGTH - 1] == 0);
    memory[5] ^= 1;
    CHECK(again[5] == memory[5] && shmdt(memory) == 0 && shmdt(again) == 0);
    return SURVIVED;
}
