/* A thread sends SIGUSR2 to the main one, which waits by a system call, again and again: the handler gets each, whenever requests for
   checkpoints come in between. */
//# cflags: -pthread
#include "thread.h"
#include <semaphore.h>

static sem_t answers;
static int word, begun;

static void answer(int signal) {
    (void)signal;
    sem_post(&answers);
}

static void *ask(void *main_thread) {
    set(&begun);
    while (!is_released()) {
        struct timespec late;
        CHECK(pthread_kill(*(pthread_t *)main_thread, SIGUSR2) == 0);
        CHECK(clock_gettime(CLOCK_REALTIME, &late) == 0);
        late.tv_sec += 60;
        while (sem_timedwait(&answers, &late) == -1)
            if (errno != EINTR) FAIL("no answer: errno %d", errno);
    }
    word = 1;
    CHECK(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0);
    return NULL;
}

int main(void) {
    struct thread thread;
    pthread_t self = pthread_self();
    CHECK(sem_init(&answers, 0, 0) == 0);
    handle(SIGUSR2, answer, SA_RESTART);
    start(&thread, ask, &self);
    wait_until_set(&begun);
    say_ready();
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0) syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
    finish(&thread);
    return SURVIVED;
}
