/* What is set on sockets and nobody can read: a program that chooses among the sockets at a port, and a key of TCP where the kernel knows them.
   The program goes on without. */
#include "socket.h"
#include <linux/filter.h>

static int at_port(uint16_t port) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = loopback(port);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

int main(void) {
    int one = at_port(0), other = at_port(port_of(one)), none = at_port(0), with_key = socket(AF_INET, SOCK_STREAM, 0);
    struct sock_filter first = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &first};
    CHECK(setsockopt(other, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0);
    CHECK(setsockopt(none, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0);
    CHECK(setsockopt(none, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &program, sizeof(int)) == 0);
    struct tcp_md5sig key = {.tcpm_keylen = 3, .tcpm_key = "key"};
    struct sockaddr_in peer = loopback(1);
    memcpy(&key.tcpm_addr, &peer, sizeof peer);
    int has_keys = setsockopt(with_key, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key) == 0;
    fprintf(stderr, "%s\n", has_keys ? "a key was set" : "no key can be set");
    ready_and_wait();
    return SURVIVED;
}
