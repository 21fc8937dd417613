/* A connection that has not come about at the checkpoint, of a program that will ask what became of it. */
#include "socket.h"

int main(void) {
    /* The kernel answers no more connections than may wait. */
    uint16_t port;
    int listening = listen_on_loopback(0, &port), connecting = -1;
    struct sockaddr_in address = loopback(port);
    for (int i = 0; i < 100 && connecting < 0; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == -1 && errno == EINPROGRESS);
        struct tcp_info info;
        socklen_t size = sizeof info;
        usleep(10000);
        CHECK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
        if (info.tcpi_state == TCP_SYN_SENT) connecting = fd;
    }
    CHECK(connecting >= 0 && !has(connecting, POLLOUT));
    pid_t before = getpid();
    ready_and_wait();
    if (getpid() != before) {
        CHECK(has(connecting, POLLOUT) && option(connecting, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
        /* As after any refusal, it can be tried again. */
        int now = connect(connecting, (struct sockaddr *)&address, sizeof address);
        CHECK(now == 0 || errno == EINPROGRESS || errno == ECONNABORTED);
    }
    CHECK(close(connecting) == 0 && close(listening) == 0);
    return SURVIVED;
}
