/* The other end was closed before it had read all: the program is told so once, after what it had received itself. */
#include "socket.h"

static void make(int kind, const char *received, int ends[2]) {
    CHECK(socketpair(AF_UNIX, kind, 0, ends) == 0);
    if (*received) say(ends[1], received);
    say(ends[0], "not read");
    CHECK(close(ends[1]) == 0 && has(ends[0], POLLERR));
}

static void check_told(int fd) {
    char byte;
    CHECK(recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET && recv(fd, &byte, 1, 0) == 0);
    CHECK(send(fd, &byte, 1, MSG_NOSIGNAL) == -1 && errno == EPIPE && !has(fd, POLLERR));
}

int main(void) {
    int stream[2], packets[2], with_data[2], asks[2];
    make(SOCK_STREAM, "", stream);
    make(SOCK_SEQPACKET, "", packets);
    make(SOCK_STREAM, "received", with_data);
    make(SOCK_STREAM, "", asks);
    ready_and_wait();
    check_told(stream[0]);
    check_told(packets[0]);
    /* Nothing is looked for behind it: that would take the error. */
    char received[9] = "";
    CHECK(recv(with_data[0], received, 8, 0) == 8 && strcmp(received, "received") == 0);
    check_told(with_data[0]);
    CHECK(option(asks[0], SOL_SOCKET, SO_ERROR) == ECONNRESET && option(asks[0], SOL_SOCKET, SO_ERROR) == 0);
    return SURVIVED;
}
