/* System V semaphores and message queues: values, keys, permissions, and messages with their types, as they were. */
#include "survive.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

enum { SEMAPHORES = 3, MESSAGES = 3, CAPACITY = 4000 };

static const unsigned short values[SEMAPHORES] = {7, 0, 32767};
static const char *const texts[MESSAGES] = {"first", "", "third"};
static const long types[MESSAGES] = {9, 2, 0x123456789};

struct message {
    long type;
    char text[64];
};

int main(void) {
    struct semid_ds set;
    struct msqid_ds queue;
    unsigned short now[SEMAPHORES];
    struct message message;
    CHECK(close(new_file("key", 0, 0)) == 0);
    key_t set_key = ftok("key", 's'), queue_key = ftok("key", 'q');
    int semaphores = semget(set_key, SEMAPHORES, IPC_CREAT | IPC_EXCL | 0640);
    int messages = msgget(queue_key, IPC_CREAT | IPC_EXCL | 0604);
    CHECK(set_key != -1 && queue_key != -1 && semaphores >= 0 && messages >= 0);
    CHECK(semctl(semaphores, 0, SETALL, values) == 0 && msgctl(messages, IPC_STAT, &queue) == 0);
    queue.msg_qbytes = CAPACITY;
    CHECK(msgctl(messages, IPC_SET, &queue) == 0);
    for (int i = 0; i < MESSAGES; i++) {
        message.type = types[i];
        strcpy(message.text, texts[i]);
        CHECK(msgsnd(messages, &message, strlen(texts[i]), 0) == 0);
    }
    /* One that is gone is nobody's any more. */
    int gone = semget(IPC_PRIVATE, 1, 0600);
    CHECK(gone >= 0 && semctl(gone, 0, IPC_RMID) == 0);
    ready_and_wait();
    int found = semget(set_key, 0, 0) == semaphores && msgget(queue_key, 0) == messages;
    int looked = semctl(semaphores, 0, IPC_STAT, &set) == 0 && msgctl(messages, IPC_STAT, &queue) == 0;
    int read = semctl(semaphores, 0, GETALL, now) == 0;
    int received = 0;
    for (int i = 0; i < MESSAGES; i++) {
        ssize_t length = msgrcv(messages, &message, sizeof message.text, 0, IPC_NOWAIT);
        received += length == (ssize_t)strlen(texts[i]) && message.type == types[i] && memcmp(message.text, texts[i], length) == 0;
    }
    /* Before anything is said: they would stay for good. */
    semctl(semaphores, 0, IPC_RMID);
    msgctl(messages, IPC_RMID, NULL);
    CHECK(found && looked && read && memcmp(now, values, sizeof values) == 0 && received == MESSAGES);
    CHECK((set.sem_perm.mode & 0777) == 0640 && set.sem_otime == 0 && set.sem_perm.uid == getuid() && set.sem_perm.gid == getgid());
    CHECK((queue.msg_perm.mode & 0777) == 0604 && queue.msg_qbytes == CAPACITY && queue.msg_qnum == MESSAGES && queue.msg_lrpid == 0);
    return SURVIVED;
}
