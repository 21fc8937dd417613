/* Unix datagram sockets with names: who has sent what to whom, and who is connected to whom. */
#include "socket.h"

static int named(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, name);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static struct sockaddr *at(const char *name) {
    static struct sockaddr_un address;
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, name);
    return (struct sockaddr *)&address;
}

static void expect_from(int fd, const char *text, const char *sender) {
    char got[32] = "";
    struct sockaddr_un from = {.sun_family = AF_UNIX};
    socklen_t size = sizeof from;
    CHECK(recvfrom(fd, got, sizeof got, MSG_DONTWAIT, (struct sockaddr *)&from, &size) == (ssize_t)strlen(text));
    const char *name = size > 2 ? from.sun_path : "";
    if (strcmp(got, text) != 0 || strcmp(name, sender) != 0)
        FAIL("\"%s\" from \"%s\" instead of \"%s\" from \"%s\"", got, name, text, sender);
}

int main(void) {
    socklen_t size = sizeof(struct sockaddr_un);
    int server = named("server"), client = named("client"), nameless = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(connect(client, at("server"), size) == 0 && connect(nameless, at("server"), size) == 0);
    say(client, "one");
    say(nameless, "two");
    CHECK(sendto(server, "answer", 6, 0, at("client"), size) == 6);
    say(client, "three");
    ready_and_wait();
    expect_from(server, "one", "client");
    expect_from(server, "two", "");
    expect_from(server, "three", "client");
    expect_from(client, "answer", "server");
    say(client, "four");
    expect_from(server, "four", "client");
    say(nameless, "five");
    expect_from(server, "five", "");
    CHECK(sendto(server, "answer", 6, 0, at("client"), size) == 6);
    expect_from(client, "answer", "server");
    return SURVIVED;
}
