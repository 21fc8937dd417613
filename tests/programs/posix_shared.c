/* POSIX shared memory and named semaphores, with and without names left: opened again, with what others have done to them. */
//# cflags: -pthread
//# memory: changes
#include "survive.h"
#include <semaphore.h>

enum { SIZE = 4 * PAGE };

static char *new_memory(const char *name, int *fd) {
    *fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(*fd >= 0 && ftruncate(*fd, SIZE) == 0);
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

int main(void) {
    char name[64], gone_name[64], semaphore_name[64], gone_semaphore[64];
    int fd, gone, value;
    snprintf(name, sizeof name, "/ckpt-test-%d", getpid());
    snprintf(gone_name, sizeof gone_name, "/ckpt-test-gone-%d", getpid());
    snprintf(semaphore_name, sizeof semaphore_name, "/ckpt-test-sem-%d", getpid());
    snprintf(gone_semaphore, sizeof gone_semaphore, "/ckpt-test-gone-sem-%d", getpid());
    char *memory = new_memory(name, &fd), *hidden = new_memory(gone_name, &gone);
    CHECK(close(fd) == 0 && shm_unlink(gone_name) == 0);
    fill(memory, SIZE, 1);
    fill(hidden, SIZE, 2);
    sem_t *semaphore = sem_open(semaphore_name, O_CREAT | O_EXCL, 0600, 3);
    sem_t *unnamed = sem_open(gone_semaphore, O_CREAT | O_EXCL, 0600, 5);
    CHECK(semaphore != SEM_FAILED && unnamed != SEM_FAILED && sem_unlink(gone_semaphore) == 0);
    CHECK(sem_wait(semaphore) == 0 && sem_wait(unnamed) == 0);
    ready_and_wait();
    char path[128];
    snprintf(path, sizeof path, "/dev/shm/sem.%s", semaphore_name + 1);
    int semaphore_file = open(path, O_RDWR);
    CHECK(semaphore_file >= 0);
    fd = shm_open(name, O_RDWR, 0);
    sem_t *again = sem_open(semaphore_name, 0);
    CHECK(fd >= 0 && again == semaphore && shm_unlink(name) == 0 && sem_unlink(semaphore_name) == 0);
    CHECK(is_filled(memory, SIZE, 1) && is_filled(hidden, SIZE, 2));
    CHECK(pwrite(fd, "x", 1, 0) == 1 && memory[0] == 'x' && pwrite(gone, "y", 1, 0) == 1 && hidden[0] == 'y');
    CHECK(sem_getvalue(semaphore, &value) == 0 && value == 2 && sem_post(semaphore) == 0 && sem_wait(semaphore) == 0);
    /* As another process has it. */
    sem_t *others = mmap(NULL, sizeof *others, PROT_READ | PROT_WRITE, MAP_SHARED, semaphore_file, 0);
    CHECK(others != MAP_FAILED && sem_post(others) == 0 && sem_getvalue(semaphore, &value) == 0 && value == 3);
    CHECK(sem_getvalue(unnamed, &value) == 0 && value == 4 && sem_trywait(unnamed) == 0);
    return SURVIVED;
}
