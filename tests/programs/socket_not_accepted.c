/* Connections of the program to itself that it has not accepted yet: they are lost, and the sockets that listen go on. */
#include "socket.h"

static int listen_at(const char *name, int type) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, name);
    int fd = socket(AF_UNIX, type, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 3) == 0);
    return fd;
}

static int connect_at(const char *name, int type) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, name);
    int fd = socket(AF_UNIX, type, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

int main(void) {
    uint16_t port, quiet_port;
    int listening[] = {listen_on_loopback(5, &port), listen_at("stream", SOCK_STREAM), listen_at("packets", SOCK_SEQPACKET),
                       listen_on_loopback(5, &quiet_port)};
    int clients[] = {connect_to(port), connect_to(port), connect_at("stream", SOCK_STREAM), connect_at("packets", SOCK_SEQPACKET)};
    for (int i = 0; i < 4; i++) say(clients[i], "hello");
    pid_t before = getpid();
    ready_and_wait();
    for (int i = 0; i < 4 && getpid() == before; i++) expect(accept(listening[i < 2 ? 0 : i - 1], NULL, NULL), "hello");
    for (int i = 0; i < 4 && getpid() != before; i++) {
        char got;
        CHECK(has(listening[i], POLLIN) == 0);
        /* The other side has ended it. */
        CHECK(recv(clients[i], &got, 1, 0) == 0);
    }
    say(connect_to(port), "again");
    expect(accept(listening[0], NULL, NULL), "again");
    say(connect_at("stream", SOCK_STREAM), "again");
    expect(accept(listening[1], NULL, NULL), "again");
    return SURVIVED;
}
