/* What SEM_UNDO has to undo: the semaphores are as they were, and at the end of the process each is what it would have been. The end
 * is that of sharing what is to be undone, which has the kernel do it. */
#include "survive.h"
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>

enum { TAKEN, GIVEN, ALL, ONE, SET_SINCE, LEFT_ALONE, SEMAPHORES };

static const unsigned short before[SEMAPHORES] = {5, 0, 32767, 1, 2, 9};
static const unsigned short at_checkpoint[SEMAPHORES] = {2, 7, 0, 0, 3, 9};
static const unsigned short afterwards[SEMAPHORES] = {5, 0, 32767, 1, 3, 9};

int main(void) {
    unsigned short now[SEMAPHORES], then[SEMAPHORES];
    struct sembuf operations[] = {{TAKEN, -2, SEM_UNDO}, {GIVEN, 7, SEM_UNDO}, {ALL, -32767, SEM_UNDO}, {TAKEN, -1, SEM_UNDO}};
    struct sembuf by_system_call = {ONE, -1, SEM_UNDO}, of_no_effect = {SET_SINCE, -1, SEM_UNDO};
    CHECK(close(new_file("key", 0, 0)) == 0);
    int set = semget(ftok("key", 's'), SEMAPHORES, IPC_CREAT | IPC_EXCL | 0600);
    CHECK(set >= 0 && semctl(set, 0, SETALL, before) == 0 && semop(set, operations, 4) == 0);
    CHECK(syscall(SYS_semtimedop, set, &by_system_call, 1, NULL) == 0 && semop(set, &of_no_effect, 1) == 0);
    CHECK(semctl(set, SET_SINCE, SETVAL, at_checkpoint[SET_SINCE]) == 0);
    ready_and_wait();
    int read = semctl(set, 0, GETALL, now) == 0;
    int undone = unshare(CLONE_SYSVSEM) == 0 && semctl(set, 0, GETALL, then) == 0;
    /* Before anything is said: it would stay for good. */
    semctl(set, 0, IPC_RMID);
    CHECK(read && memcmp(now, at_checkpoint, sizeof now) == 0);
    CHECK(undone && memcmp(then, afterwards, sizeof then) == 0);
    return SURVIVED;
}
