/* Unix sockets whose names were removed: two that had one name, one after the other, and others that can still be sent to. */
#include "socket.h"

static socklen_t size = sizeof(struct sockaddr_un);

static struct sockaddr *at(const char *name) {
    static struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    CHECK(getcwd(address.sun_path, sizeof address.sun_path - 16) != NULL);
    strcat(strcat(address.sun_path, "/"), name);
    return (struct sockaddr *)&address;
}

static int bound(int type, const char *name) {
    int fd = socket(AF_UNIX, type, 0);
    if (fd < 0 || bind(fd, at(name), size) != 0) FAIL("%s: errno %d", name, errno);
    return fd;
}

static void remove_name(const char *name) { CHECK(unlink(((struct sockaddr_un *)at(name))->sun_path) == 0); }

static void check_name(int fd, const char *name) {
    struct sockaddr_un own;
    socklen_t length = sizeof own;
    CHECK(getsockname(fd, (struct sockaddr *)&own, &length) == 0);
    if (strcmp(own.sun_path, ((struct sockaddr_un *)at(name))->sun_path) != 0) FAIL("\"%s\" in place of %s", own.sun_path, name);
}

int main(void) {
    /* As a server that is told to open its socket again. */
    int old = bound(SOCK_STREAM, "server");
    CHECK(listen(old, 3) == 0);
    remove_name("server");
    int new = bound(SOCK_STREAM, "server");
    CHECK(listen(new, 3) == 0);
    /* Letters to nowhere. */
    int box = bound(SOCK_DGRAM, "box"), sender = socket(AF_UNIX, SOCK_DGRAM, 0), itself = bound(SOCK_DGRAM, "itself");
    CHECK(connect(sender, at("box"), size) == 0 && connect(itself, at("itself"), size) == 0);
    remove_name("box");
    remove_name("itself");
    say(sender, "a letter");
    say(itself, "another");
    /* Two that send to each other, the first by a name that leads to a third one now. */
    int here = bound(SOCK_DGRAM, "here"), there = bound(SOCK_DGRAM, "there");
    CHECK(connect(here, at("there"), size) == 0 && connect(there, at("here"), size) == 0);
    remove_name("here");
    int third = bound(SOCK_DGRAM, "here");
    ready_and_wait();

    check_name(old, "server");
    check_name(new, "server");
    check_name(box, "box");
    check_name(here, "here");
    CHECK(access("box", F_OK) == -1 && access("itself", F_OK) == -1 && access("server", F_OK) == 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(client, at("server"), size) == 0 && accept(new, NULL, NULL) >= 0);
    CHECK(has(old, POLLIN) == 0 && option(old, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    expect(box, "a letter");
    expect(itself, "another");
    say(sender, "more");
    expect(box, "more");
    say(itself, "more");
    expect(itself, "more");
    say(there, "hello");
    expect(here, "hello");
    say(here, "hello");
    expect(there, "hello");
    CHECK(sendto(sender, "third", 5, 0, at("here"), size) == 5);
    expect(third, "third");
    return SURVIVED;
}
