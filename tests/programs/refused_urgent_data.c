/* Urgent data in a TCP connection, and normal data around it. */
//# refused: urgent data
#include "socket.h"

int main(void) {
    int ends[2];
    connect_pair(ends);
    set_option(ends[1], SOL_SOCKET, SO_OOBINLINE, 1);
    CHECK(send(ends[0], "ab", 2, 0) == 2 && send(ends[0], "!", 1, MSG_OOB) == 1 && send(ends[0], "cd", 2, 0) == 2);
    ready_and_wait();
    char got[8] = "";
    CHECK(recv(ends[1], got, 8, 0) == 2 && recv(ends[1], got + 2, 3, MSG_WAITALL) == 3 && strcmp(got, "ab!cd") == 0);
    return SURVIVED;
}
