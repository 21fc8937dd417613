/* Cancellation of threads in the middle of what a checkpoint cuts short, by the program's first calls of pthread_cancel. Nobody takes or sends the
   rest. */
//# cflags: -pthread
#include "thread.h"
#include <sys/socket.h>

enum { SIZE = 1 << 20, COUNT = 3 };

static int ends[COUNT][2], cleaned;
static char *content;

static void clean(void *argument) {
    (void)argument;
    count_up(&cleaned);
}

static void *in_write(void *argument) {
    pthread_cleanup_push(clean, NULL);
    for (;;) CHECK(write(ends[0][1], content, SIZE) > 0);
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_send(void *argument) {
    pthread_cleanup_push(clean, NULL);
    for (;;) CHECK(send(ends[1][1], content, SIZE, 0) > 0);
    pthread_cleanup_pop(0);
    return argument;
}

static void *in_recv(void *argument) {
    char seen[3];
    pthread_cleanup_push(clean, NULL);
    for (;;) CHECK(recv(ends[2][1], seen, sizeof seen, MSG_WAITALL) > 0);
    pthread_cleanup_pop(0);
    return argument;
}

int main(void) {
    void *(*const runs[])(void *) = {in_write, in_send, in_recv};
    static const long numbers[] = {SYS_write, SYS_sendto, SYS_recvfrom};
    struct thread threads[COUNT];
    content = map(SIZE, PROT_READ | PROT_WRITE);
    CHECK(pipe(ends[0]) == 0);
    for (int i = 1; i < COUNT; i++) CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]) == 0);
    CHECK(send(ends[2][0], "12", 2, 0) == 2);
    for (int i = 0; i < COUNT; i++) {
        start(&threads[i], runs[i], NULL);
        wait_until_in(&threads[i], numbers[i]);
    }
    ready_and_wait();
    for (int i = 0; i < COUNT; i++) {
        CHECK(pthread_cancel(threads[i].id) == 0);
        CHECK(finish(&threads[i]) == PTHREAD_CANCELED && cleaned == i + 1);
    }
    return SURVIVED;
}
