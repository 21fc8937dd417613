/* Semaphores that threads wait at, one of them across processes, and what is left in them. */
//# cflags: -pthread
#include "thread.h"
#include <semaphore.h>

enum { COUNT = 3 };

static sem_t *semaphores;
static int taken[2];

static void *take(void *argument) {
    int index = (int)(intptr_t)argument;
    CHECK(sem_wait(&semaphores[index]) == 0);
    count_up(&taken[index]);
    return NULL;
}

int main(void) {
    struct thread threads[2][COUNT];
    int value;
    semaphores = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(semaphores != MAP_FAILED);
    for (int i = 0; i < 2; i++) CHECK(sem_init(&semaphores[i], i, 0) == 0);
    CHECK(sem_init(&semaphores[2], 0, 7) == 0);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < COUNT; j++) start(&threads[i][j], take, (void *)(intptr_t)i);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < COUNT; j++) wait_until_in(&threads[i][j], SYS_futex);
    ready_and_wait();
    CHECK(sem_getvalue(&semaphores[2], &value) == 0 && value == 7);
    for (int i = 0; i < 2; i++) {
        CHECK(!is_set(&taken[i]) && sem_post(&semaphores[i]) == 0);
        wait_until_set(&taken[i]);
        CHECK(taken[i] == 1);
        for (int j = 1; j < COUNT; j++) CHECK(sem_post(&semaphores[i]) == 0);
        for (int j = 0; j < COUNT; j++) finish(&threads[i][j]);
        CHECK(taken[i] == COUNT && sem_trywait(&semaphores[i]) == -1 && errno == EAGAIN);
    }
    return SURVIVED;
}
