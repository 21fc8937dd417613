/* System V shared memory. */
//# refused: SYSV
#include "survive.h"
#include <sys/shm.h>

int main(void) {
    int id = shmget(IPC_PRIVATE, PAGE, 0600);
    char *memory = shmat(id, NULL, 0);
    CHECK(memory != (void *)-1 && shmctl(id, IPC_RMID, NULL) == 0);
    ready_and_wait();
    CHECK(shmdt(memory) == 0);
    return SURVIVED;
}
