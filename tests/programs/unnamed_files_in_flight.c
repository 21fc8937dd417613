/* Files without a name whose only descriptor is on its way in a socket, one of them mapped as well. */
#include "survive.h"
#include <sys/socket.h>

enum { SIZE = 8 * PAGE };

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

static void send_away(int socket, int fd) {
    union control control;
    memset(&control, 0, sizeof control);
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    CHECK(sendmsg(socket, &message, 0) == 1 && close(fd) == 0);
}

static int receive(int socket) {
    union control control;
    char byte;
    int fd;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    CHECK(recvmsg(socket, &message, 0) == 1 && control.header.cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}

static void check(int fd, char with) {
    char content[SIZE];
    CHECK(pread(fd, content, SIZE, 0) == SIZE && is_filled(content, SIZE, with));
}

int main(void) {
    int ends[2], deleted = new_file("data", SIZE, 7), in_memory = memfd_create("memory", 0), mapped = memfd_create("mapped", 0);
    char content[SIZE];
    fill(content, SIZE, 8);
    CHECK(write(in_memory, content, SIZE) == SIZE && unlink("data") == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    fill(content, SIZE, 9);
    CHECK(write(mapped, content, SIZE) == SIZE);
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, mapped, 0);
    CHECK(memory != MAP_FAILED);
    memory[PAGE] ^= 1;
    send_away(ends[0], deleted);
    send_away(ends[0], in_memory);
    send_away(ends[0], mapped);
    ready_and_wait();
    CHECK(memcmp(memory, content, PAGE) == 0 && memory[PAGE] == (char)(content[PAGE] ^ 1));
    CHECK(memcmp(memory + 2 * PAGE, content + 2 * PAGE, SIZE - 2 * PAGE) == 0);
    check(receive(ends[1]), 7);
    check(receive(ends[1]), 8);
    check(receive(ends[1]), 9);
    return SURVIVED;
}
