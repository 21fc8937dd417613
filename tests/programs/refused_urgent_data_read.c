/* Urgent data that was read before the normal data around it. */
//# refused: urgent data
#include "socket.h"

int main(void) {
    int ends[2];
    connect_pair(ends);
    CHECK(send(ends[0], "abc", 3, 0) == 3 && send(ends[0], "!", 1, MSG_OOB) == 1 && send(ends[0], "def", 3, 0) == 3);
    char got[8] = "";
    while (!has(ends[1], POLLPRI)) sched_yield();
    CHECK(recv(ends[1], got, 1, MSG_OOB) == 1 && got[0] == '!');
    ready_and_wait();
    CHECK(recv(ends[1], got, 8, 0) == 3 && recv(ends[1], got + 3, 3, MSG_WAITALL) == 3 && memcmp(got, "abcdef", 6) == 0);
    CHECK(option(ends[1], SOL_SOCKET, SO_OOBINLINE) == 0);
    return SURVIVED;
}
