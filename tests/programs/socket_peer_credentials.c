/* Whom the kernel names as the peer of Unix sockets: another user, under whose ids and with whose groups the program has made them. */
//# needs: root
#include "socket.h"
#include <grp.h>

enum { SOMEBODY = 12345, HIS_GROUP, ONE_GROUP, OTHER_GROUP, THIRD_GROUP };

static void check_peer(int fd, uid_t user, gid_t group) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0);
    if (peer.uid != user || peer.gid != group || peer.pid != getpid())
        FAIL("descriptor %d: process %d, user %d, group %d", fd, peer.pid, (int)peer.uid, (int)peer.gid);
    gid_t groups[8] = {0};
    size = sizeof groups;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0);
    if (user == SOMEBODY)
        CHECK(size == 2 * sizeof *groups && groups[0] == ONE_GROUP && groups[1] == OTHER_GROUP);
    else
        CHECK(size == sizeof *groups && groups[0] == THIRD_GROUP);
}

int main(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "listening"};
    int stream[2], datagrams[2], own[2], listening = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(listening, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK(setgroups(2, (gid_t[]){ONE_GROUP, OTHER_GROUP}) == 0);
    CHECK(setresgid(-1, HIS_GROUP, -1) == 0 && setresuid(-1, SOMEBODY, -1) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0);
    CHECK(listen(listening, 3) == 0);
    CHECK(setresuid(-1, 0, -1) == 0 && setresgid(-1, 0, -1) == 0);
    CHECK(setgroups(1, (gid_t[]){THIRD_GROUP}) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, own) == 0);
    ready_and_wait();
    for (int i = 0; i < 2; i++) {
        check_peer(stream[i], SOMEBODY, HIS_GROUP);
        check_peer(datagrams[i], SOMEBODY, HIS_GROUP);
        check_peer(own[i], 0, 0);
    }
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(client, (struct sockaddr *)&name, sizeof name) == 0);
    check_peer(client, SOMEBODY, HIS_GROUP);
    return SURVIVED;
}
