/* Messages without content among others, in sockets that keep borders, before the end of a queue and without one, in a program that holds a
   lock, which the look at them must not take away. */
#include "socket.h"
#include <sys/wait.h>

/* Of the messages, in order. */
static const int lengths[] = {0, 2, 0, 0, 1, 0};
enum { MESSAGES = sizeof lengths / sizeof *lengths };

static void send_all(int fd) {
    for (int i = 0; i < MESSAGES; i++) CHECK(send(fd, "ab", (size_t)lengths[i], 0) == lengths[i]);
}

static void receive_all(int fd) {
    char bytes[8];
    for (int i = 0; i < MESSAGES; i++) {
        char control[64];
        struct iovec part = {bytes, sizeof bytes};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        CHECK(recvmsg(fd, &message, MSG_DONTWAIT) == lengths[i] && message.msg_controllen == 0);
    }
}

static int is_empty(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

static int is_at_end(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 && recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

int main(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_len = 20};
    int file = new_file("data", PAGE, 3), status;
    CHECK(file >= 0 && fcntl(file, F_SETLK, &lock) == 0);
    int datagrams[2], packets[2], ended[2], closed[2], refusing[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ended) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, closed) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, refusing) == 0);
    send_all(datagrams[1]);
    send_all(packets[1]);
    send_all(ended[1]);
    send_all(closed[1]);
    CHECK(shutdown(ended[1], SHUT_WR) == 0 && close(closed[1]) == 0 && shutdown(refusing[0], SHUT_RD) == 0);
    ready_and_wait();
    pid_t child = fork();
    if (child == 0) _exit(fcntl(file, F_SETLK, &lock) == -1 ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    int asked;
    socklen_t size = sizeof asked;
    CHECK(getsockopt(ended[0], SOL_SOCKET, SO_PASSCRED, &asked, &size) == 0 && asked == 0);
    receive_all(datagrams[0]);
    receive_all(packets[0]);
    receive_all(ended[0]);
    receive_all(closed[0]);
    CHECK(is_empty(datagrams[0]) && is_empty(packets[0]));
    CHECK(is_at_end(ended[0]) && is_at_end(closed[0]) && is_at_end(refusing[0]));
    return SURVIVED;
}
