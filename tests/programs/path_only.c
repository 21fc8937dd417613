/* Descriptors opened with O_PATH of what is neither file nor directory: a link, a named pipe, a socket, a device. */
#include "survive.h"
#include <sys/socket.h>
#include <sys/un.h>

static int is_kind(int fd, mode_t kind) {
    struct stat stat;
    CHECK(fstat(fd, &stat) == 0);
    return (stat.st_mode & S_IFMT) == kind;
}

int main(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    char target[10];
    int socket_itself = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(symlink("nowhere", "link") == 0 && mkfifo("fifo", 0600) == 0);
    CHECK(bind(socket_itself, (struct sockaddr *)&address, sizeof address) == 0 && close(socket_itself) == 0);
    int link = open("link", O_PATH | O_NOFOLLOW), fifo = open("fifo", O_PATH | O_CLOEXEC);
    int socket = open("socket", O_PATH), device = open("/dev/null", O_PATH), copy = dup(link);
    CHECK(link >= 0 && fifo >= 0 && socket >= 0 && device >= 0);
    ready_and_wait();
    CHECK(is_kind(link, S_IFLNK) && is_kind(fifo, S_IFIFO) && is_kind(socket, S_IFSOCK) && is_kind(device, S_IFCHR));
    CHECK(readlinkat(copy, "", target, sizeof target) == 7 && memcmp(target, "nowhere", 7) == 0);
    CHECK(fcntl(link, F_GETFL) == (O_PATH | O_NOFOLLOW) && fcntl(fifo, F_GETFL) == O_PATH);
    CHECK(fcntl(fifo, F_GETFD) == FD_CLOEXEC && read(fifo, target, 1) == -1 && errno == EBADF);
    return SURVIVED;
}
