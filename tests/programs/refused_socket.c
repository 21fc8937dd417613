/* A socket. */
//# refused: socket
#include "survive.h"
#include <sys/socket.h>

int main(void) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && write(ends[0], "x", 1) == 1);
    ready_and_wait();
    char byte;
    CHECK(read(ends[1], &byte, 1) == 1 && byte == 'x');
    return SURVIVED;
}
