/* Signals from thread to thread, all the time: none fails because the ids that libc has just looked up are others by now, and none is lost. */
//# cflags: -pthread
#include "thread.h"

static int handled, stop, sending;

static void on_signal(int signal) {
    (void)signal;
    count_up(&handled);
}

static void *look(void *main_thread) {
    count_up(&sending);
    while (!is_set(&stop)) {
        int error = pthread_kill(*(pthread_t *)main_thread, 0);
        if (error != 0) FAIL("pthread_kill: %d", error);
    }
    return NULL;
}

static void *queue(void *main_thread) {
    count_up(&sending);
    while (!is_set(&stop)) {
        int error = pthread_sigqueue(*(pthread_t *)main_thread, 0, (union sigval){0});
        if (error != 0) FAIL("pthread_sigqueue: %d", error);
    }
    return NULL;
}

static void *send_and_wait(void *main_thread) {
    int sent = 0;
    count_up(&sending);
    while (!is_set(&stop)) {
        CHECK(pthread_kill(*(pthread_t *)main_thread, SIGUSR1) == 0);
        sent++;
        while (__atomic_load_n(&handled, __ATOMIC_SEQ_CST) != sent) sched_yield();
    }
    return NULL;
}

int main(void) {
    void *(*const senders[])(void *) = {look, queue, send_and_wait};
    struct thread threads[LENGTH(senders)];
    pthread_t self = pthread_self();
    handle(SIGUSR1, on_signal, SA_RESTART);
    for (int i = 0; i < LENGTH(senders); i++) start(&threads[i], senders[i], &self);
    wait_until_counted(&sending, LENGTH(senders));
    ready_and_wait();
    set(&stop);
    for (int i = 0; i < LENGTH(senders); i++) finish(&threads[i]);
    return SURVIVED;
}
