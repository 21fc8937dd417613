/* An error that waits before a message: nobody can look at that without taking the error. */
//# refused: an error waits in the socket (SO_ERROR), and nobody can look
#include "socket.h"

int main(void) {
    int ends[2];
    char byte;
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    say(ends[1], "received");
    say(ends[0], "not read");
    CHECK(close(ends[1]) == 0);
    ready_and_wait();
    CHECK(recv(ends[0], &byte, 1, MSG_PEEK) == -1 && errno == ECONNRESET);
    expect(ends[0], "received");
    return SURVIVED;
}
