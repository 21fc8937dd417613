/* The same in a pair of Unix sockets. */
//# refused: urgent data
#include "socket.h"

int main(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(send(ends[0], "ab", 2, 0) == 2 && send(ends[0], "!", 1, MSG_OOB) == 1);
    ready_and_wait();
    char got;
    CHECK(recv(ends[1], &got, 1, MSG_OOB) == 1 && got == '!');
    return SURVIVED;
}
