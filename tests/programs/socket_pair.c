/* Pairs of Unix sockets: what is in flight in both directions, borders of messages, ends that are shut down. */
#include "survive.h"
#include <poll.h>
#include <sys/socket.h>

static int stream[2], datagram[2], packet[2], half[2], full[2];

static void make(int type, int *ends) { CHECK(socketpair(AF_UNIX, type, 0, ends) == 0); }

static void expect(int fd, const char *text) {
    char got[64] = "";
    ssize_t length = recv(fd, got, sizeof got, MSG_DONTWAIT);
    if (length != (ssize_t)strlen(text) || memcmp(got, text, strlen(text)) != 0)
        FAIL("descriptor %d: %zd bytes \"%s\" instead of \"%s\", errno %d", fd, length, got, text, errno);
}

static void say(int fd, const char *text) { CHECK(send(fd, text, strlen(text), 0) == (ssize_t)strlen(text)); }

int main(void) {
    make(SOCK_STREAM, stream);
    make(SOCK_DGRAM, datagram);
    make(SOCK_SEQPACKET | SOCK_NONBLOCK, packet);
    make(SOCK_STREAM, half);
    make(SOCK_STREAM | SOCK_CLOEXEC, full);
    say(stream[0], "there");
    say(stream[1], "and ");
    say(stream[1], "back");
    for (int way = 0; way < 2; way++) {
        say(datagram[way], "one");
        say(datagram[way], "");
        say(datagram[way], "three");
        say(packet[way], "first");
        say(packet[way], "second");
    }
    say(half[0], "last words");
    CHECK(shutdown(half[0], SHUT_WR) == 0);
    /* As full as it gets. */
    char *block = map(1 << 20, PROT_READ | PROT_WRITE);
    fill(block, 1 << 20, 7);
    ssize_t much = send(full[0], block, 1 << 20, MSG_DONTWAIT);
    CHECK(much > 0);
    int buffer = 8192, copy = dup(stream[0]);
    CHECK(setsockopt(stream[1], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer) == 0 && copy >= 0);
    ready_and_wait();

    expect(stream[1], "there");
    expect(copy, "and back");
    say(copy, "on");
    expect(stream[1], "on");
    for (int way = 0; way < 2; way++) {
        expect(datagram[way], "one");
        expect(datagram[way], "");
        expect(datagram[way], "three");
        expect(packet[way], "first");
        expect(packet[way], "second");
        CHECK(recv(packet[way], &buffer, 1, 0) == -1 && errno == EAGAIN);
    }
    say(packet[0], "third");
    expect(packet[1], "third");
    expect(half[1], "last words");
    expect(half[1], "");
    CHECK(send(half[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    say(half[1], "an answer");
    expect(half[0], "an answer");
    char *seen = map(1 << 20, PROT_READ | PROT_WRITE);
    CHECK(recv(full[1], seen, (size_t)much, MSG_WAITALL) == much && memcmp(seen, block, (size_t)much) == 0);
    CHECK(recv(full[1], seen, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    socklen_t size = sizeof buffer;
    CHECK(getsockopt(stream[1], SOL_SOCKET, SO_SNDBUF, &buffer, &size) == 0 && buffer == 2 * 8192);
    CHECK(fcntl(full[0], F_GETFD) == FD_CLOEXEC && fcntl(packet[0], F_GETFL) == (O_RDWR | O_NONBLOCK));
    CHECK(close(stream[0]) == 0 && close(copy) == 0);
    struct pollfd gone = {.fd = stream[1], .events = POLLIN};
    CHECK(poll(&gone, 1, 0) == 1 && gone.revents & POLLHUP);
    return SURVIVED;
}
