/* Descriptors that are on their way in a Unix socket, which nobody else in the program has; one in another. */
#include "survive.h"
#include <sys/socket.h>
#include <sys/wait.h>

static void pass(int to, const char *text, int count, const int *fds) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(&control.header), fds, (size_t)count * sizeof(int));
    CHECK(sendmsg(to, &message, 0) == (ssize_t)part.iov_len);
}

static int take(int from, const char *text, int *fds) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control;
    char got[64];
    struct iovec part = {got, sizeof got};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    ssize_t length = recvmsg(from, &message, MSG_DONTWAIT);
    if (length != (ssize_t)strlen(text) || memcmp(got, text, strlen(text)) != 0)
        FAIL("%zd bytes \"%.*s\" instead of \"%s\"", length, (int)length, got, text);
    if (message.msg_controllen == 0) return 0;
    CHECK(control.header.cmsg_type == SCM_RIGHTS);
    size_t size = control.header.cmsg_len - CMSG_LEN(0);
    memcpy(fds, CMSG_DATA(&control.header), size);
    return (int)(size / sizeof(int));
}

static int count_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1000; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

int main(void) {
    int stream[2], packet[2], nested[2], ends[2], fds[4];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, nested) == 0 && pipe(ends) == 0);
    int file = new_file("file", 100, 1);
    int shared = new_file("shared", 100, 1);
    CHECK(lseek(file, 40, SEEK_SET) == 40 && lseek(shared, 60, SEEK_SET) == 60 && write(ends[1], "in the pipe", 11) == 11);
    /* A lock on a file that is not on its way. */
    int locked = new_file("locked", 100, 1), status;
    struct flock lock = {.l_type = F_WRLCK, .l_len = 20};
    CHECK(fcntl(locked, F_SETLK, &lock) == 0);
    CHECK(write(stream[0], "before ", 7) == 7);
    pass(stream[0], "with two ", 2, (int[]){file, shared});
    CHECK(write(stream[0], "behind", 6) == 6);
    pass(nested[0], "inner", 1, (int[]){ends[0]});
    pass(packet[0], "outer", 2, (int[]){nested[1], nested[0]});
    pass(packet[0], "shared", 1, (int[]){shared});
    CHECK(close(file) == 0 && close(ends[0]) == 0 && close(nested[0]) == 0 && close(nested[1]) == 0);
    int before = count_descriptors();
    ready_and_wait();

    pid_t child = fork();
    if (child == 0) _exit(fcntl(locked, F_SETLK, &lock) == -1 ? 0 : 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    if (count_descriptors() != before) FAIL("%d descriptors instead of %d", count_descriptors(), before);
    CHECK(take(stream[1], "before with two ", fds) == 2);
    CHECK(lseek(fds[0], 0, SEEK_CUR) == 40 && lseek(fds[1], 0, SEEK_CUR) == 60);
    CHECK(lseek(fds[1], 5, SEEK_CUR) == 65 && lseek(shared, 0, SEEK_CUR) == 65);
    CHECK(take(stream[1], "behind", fds) == 0);
    CHECK(take(packet[1], "outer", fds) == 2);
    int inner = fds[0];
    pass(fds[1], "more", 1, (int[]){packet[1]});
    CHECK(take(inner, "inner", fds) == 1);
    char text[12] = "";
    CHECK(read(fds[0], text, sizeof text) == 11 && strcmp(text, "in the pipe") == 0);
    CHECK(take(inner, "more", fds) == 1);
    CHECK(take(fds[0], "shared", fds) == 1 && lseek(fds[0], 1, SEEK_CUR) == 66 && lseek(shared, 0, SEEK_CUR) == 66);
    return SURVIVED;
}
