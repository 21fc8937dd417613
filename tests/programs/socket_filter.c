/* Packet filters: the same instructions, locked where they were, and they let through what they let through; what had come in before them
   is still there, whole. */
#include "socket.h"
#include <linux/filter.h>
#include <linux/netlink.h>

/* Lets through what has a 'y' in this place, `length` bytes of it. */
static struct sock_fprog letter_y(unsigned at, unsigned length) {
    static struct sock_filter code[3][4];
    static int used;
    struct sock_filter *mine = code[used++];
    mine[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at);
    mine[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1);
    mine[2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, length);
    mine[3] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    return (struct sock_fprog){.len = 4, .filter = mine};
}

static void attach(int fd, struct sock_fprog program) {
    CHECK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
}

static void has_filter(int fd, struct sock_fprog program) {
    struct sock_filter code[4096];
    socklen_t count = sizeof code / sizeof *code;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, code, &count) == 0 && count == program.len);
    CHECK(memcmp(code, program.filter, count * sizeof *code) == 0);
}

static void receives(int fd, const char *what) {
    char message[16];
    ssize_t length = recv(fd, message, sizeof message, MSG_DONTWAIT);
    CHECK(length == (ssize_t)strlen(what) && memcmp(message, what, (size_t)length) == 0);
}

static void receives_nothing(int fd) {
    char byte;
    CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

int main(void) {
    /* As many as all kernels have memory for (net.core.optmem_max). */
    enum { MANY = 1000 };
    static struct sock_filter many[MANY];
    for (int i = 0; i < MANY; i++) many[i] = (struct sock_filter)BPF_STMT(i + 1 < MANY ? BPF_LD | BPF_W | BPF_LEN : BPF_RET | BPF_A, 0);
    const struct sock_fprog longest = {.len = MANY, .filter = many};
    const struct sock_fprog behind_header = letter_y(8, 0xffff), two_bytes = letter_y(0, 2), of_events = letter_y(1000, 0);

    int udp = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = loopback(0);
    CHECK(bind(udp, (struct sockaddr *)&address, sizeof address) == 0);
    address.sin_port = htons(port_of(udp));
    CHECK(connect(sender, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(send(sender, "no", 2, 0) == 2);
    attach(udp, behind_header);
    set_option(udp, SOL_SOCKET, SO_LOCK_FILTER, 1);
    CHECK(send(sender, "none", 4, 0) == 4 && send(sender, "yes", 3, 0) == 3);

    int pair[2], idle[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, idle) == 0);
    CHECK(send(pair[0], "ymmv", 4, 0) == 4);
    attach(pair[1], two_bytes);
    attach(idle[1], two_bytes);
    CHECK(send(pair[0], "yes", 3, 0) == 3);

    uint16_t port;
    int listens = listen_on_loopback(5, &port), client = connect_to(port), server = accept(listens, NULL, NULL);
    attach(listens, longest);
    attach(server, longest);

    int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
    struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = 1};
    attach(events, of_events);
    CHECK(bind(events, (struct sockaddr *)&group, sizeof group) == 0);

    ready_and_wait();
    has_filter(udp, behind_header);
    has_filter(pair[1], two_bytes);
    has_filter(idle[1], two_bytes);
    has_filter(listens, longest);
    has_filter(server, longest);
    has_filter(events, of_events);
    CHECK(option(udp, SOL_SOCKET, SO_LOCK_FILTER) == 1 && option(pair[1], SOL_SOCKET, SO_LOCK_FILTER) == 0);
    receives(udp, "no");
    receives(udp, "yes");
    receives_nothing(udp);
    CHECK(send(sender, "never", 5, 0) == 5 && send(sender, "yet", 3, 0) == 3);
    receives(udp, "yet");
    receives(pair[1], "ymmv");
    receives(pair[1], "ye");
    CHECK(send(pair[0], "yo-yo", 5, 0) == 5 && send(idle[0], "yoghurt", 7, 0) == 7);
    receives(pair[1], "yo");
    receives(idle[1], "yo");
    CHECK(send(client, "stream", 6, 0) == 6 && recv(server, many, 6, MSG_WAITALL) == 6);
    CHECK(setsockopt(udp, SOL_SOCKET, SO_DETACH_FILTER, &port, sizeof(int)) == -1 && errno == EPERM);
    CHECK(setsockopt(pair[1], SOL_SOCKET, SO_DETACH_FILTER, &port, sizeof(int)) == 0);
    return SURVIVED;
}
