/* Threads in the calls of System V: semop, semtimedop, msgrcv, and msgsnd to a full queue. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <sys/msg.h>
#include <sys/sem.h>

struct message {
    long type;
    char text[2000];
};

static int semaphores, queue, full;
static int returned;

static void *take(void *argument) {
    struct sembuf down = {.sem_num = 0, .sem_op = -1};
    CHECK(semop(semaphores, &down, 1) == 0);
    count_up(&returned);
    return argument;
}

static void *take_within_an_hour(void *argument) {
    struct sembuf down = {.sem_num = 1, .sem_op = -1};
    const struct timespec hour = {.tv_sec = 3600};
    CHECK(semtimedop(semaphores, &down, 1, &hour) == 0);
    count_up(&returned);
    return argument;
}

static void *take_in_vain(void *argument) {
    struct sembuf down = {.sem_num = 2, .sem_op = -1};
    const struct timespec second = {.tv_sec = 1};
    double begin = now();
    CHECK(semtimedop(semaphores, &down, 1, &second) == -1 && errno == EAGAIN && now() - begin >= 1);
    return argument;
}

static void *receive(void *argument) {
    struct message message;
    CHECK(msgrcv(queue, &message, sizeof message.text, 3, 0) == 6 && strcmp(message.text, "hello") == 0);
    count_up(&returned);
    return argument;
}

static void *send_one_more(void *argument) {
    static const struct message last = {.type = 2};
    CHECK(msgsnd(full, &last, sizeof last.text, 0) == 0);
    count_up(&returned);
    return argument;
}

int main(void) {
    void *(*const runs[])(void *) = {take, take_within_an_hour, receive, send_one_more, take_in_vain};
    static const long numbers[] = {SYS_semtimedop, SYS_semtimedop, SYS_msgrcv, SYS_msgsnd};
    static struct message message = {.type = 1, .text = "hello"};
    struct thread threads[LENGTH(runs)];
    semaphores = semget(IPC_PRIVATE, 3, 0600);
    queue = msgget(IPC_PRIVATE, 0600);
    full = msgget(IPC_PRIVATE, 0600);
    CHECK(semaphores >= 0 && queue >= 0 && full >= 0);
    while (msgsnd(full, &message, sizeof message.text, IPC_NOWAIT) == 0) continue;
    for (int i = 0; i < LENGTH(runs); i++) start(&threads[i], runs[i], NULL);
    for (int i = 0; i < LENGTH(numbers); i++) wait_until_in(&threads[i], numbers[i]);
    ready_and_wait();
    int early = __atomic_load_n(&returned, __ATOMIC_SEQ_CST);
    struct sembuf up[] = {{.sem_num = 0, .sem_op = 1}, {.sem_num = 1, .sem_op = 1}};
    message.type = 3;
    int posted = semop(semaphores, up, 2) == 0 && msgsnd(queue, &message, 6, 0) == 0;
    int received = msgrcv(full, &message, sizeof message.text, 1, 0) == sizeof message.text;
    for (int i = 0; i < LENGTH(runs); i++) finish(&threads[i]);
    /* Before anything is said: they would stay for good. */
    semctl(semaphores, 0, IPC_RMID);
    msgctl(queue, IPC_RMID, NULL);
    msgctl(full, IPC_RMID, NULL);
    CHECK(early == 0 && posted && received);
    return SURVIVED;
}
