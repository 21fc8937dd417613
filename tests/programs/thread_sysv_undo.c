/* What SEM_UNDO has to undo belongs to all threads together: what one has taken is given back when the last of them ends. */
//# cflags: -pthread
#include "thread.h"
#include <sys/ipc.h>
#include <sys/sem.h>

static int set_of_semaphores, main_has_left;

static int stop_sharing(void) {
    return unshare(CLONE_SYSVSEM) == 0 ? semctl(set_of_semaphores, 0, GETVAL) : -1;
}

static void *take_and_leave_last(void *argument) {
    struct sembuf take = {0, -4, SEM_UNDO};
    CHECK(semop(set_of_semaphores, &take, 1) == 0);
    wait_at_gate();
    wait_until_set(&main_has_left);
    *(int *)argument = stop_sharing();
    return argument;
}

int main(void) {
    struct thread thread;
    int in_the_end;
    CHECK(close(new_file("key", 0, 0)) == 0);
    set_of_semaphores = semget(ftok("key", 's'), 1, IPC_CREAT | IPC_EXCL | 0600);
    CHECK(set_of_semaphores >= 0 && semctl(set_of_semaphores, 0, SETVAL, 10) == 0);
    start(&thread, take_and_leave_last, &in_the_end);
    wait_until_in(&thread, SYS_futex);
    ready_and_wait();
    int without_main = stop_sharing();
    set(&main_has_left);
    open_gate();
    finish(&thread);
    /* Before anything is said: it would stay for good. */
    semctl(set_of_semaphores, 0, IPC_RMID);
    CHECK(without_main == 6 && in_the_end == 10);
    return SURVIVED;
}
