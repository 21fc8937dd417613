/* TCP connections of the program to itself: what is on its way in both directions, also more than the buffers hold; half-closed. */
#include "socket.h"

enum { LARGE = 3 << 20 };

int main(void) {
    int plain[2], half[2], full[2], mixed[2], small[2], deaf[2], ended[2], peeked[2];
    connect_pair(plain);
    connect_pair(half);
    connect_pair(full);
    connect_pair(small);
    connect_pair(deaf);
    connect_pair(ended);
    connect_pair(peeked);
    say(peeked[0], "looked at");
    /* Not every kernel has it for TCP. */
    int offset = 0, has_offset = setsockopt(peeked[1], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0;
    char looked[8];
    CHECK(recv(peeked[1], looked, 3, MSG_PEEK | MSG_WAITALL) == 3);
    say(plain[0], "there");
    say(plain[1], "and back");
    set_option(plain[0], IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(plain[1], SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(plain[1], IPPROTO_TCP, TCP_KEEPIDLE, 123);
    say(half[0], "last words");
    CHECK(shutdown(half[0], SHUT_WR) == 0);
    CHECK(shutdown(deaf[0], SHUT_RD) == 0 && shutdown(ended[0], SHUT_RDWR) == 0);
    char *block = map(LARGE, PROT_READ | PROT_WRITE);
    fill(block, LARGE, 3);
    /* Until both buffers are full. */
    ssize_t much = 0, count;
    while (much < LARGE && (count = send(full[0], block + much, (size_t)(LARGE - much), MSG_DONTWAIT)) > 0) much += count;
    set_option(small[1], SOL_SOCKET, SO_RCVBUF, 4096);
    ssize_t little = 0;
    while (little < 100000 && (count = send(small[0], block + little, 1000, MSG_DONTWAIT)) > 0) little += count;
    /* One end speaks IPv6. */
    int listening = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    CHECK(bind(listening, (struct sockaddr *)&any, sizeof any) == 0 && listen(listening, 1) == 0);
    mixed[0] = connect_to(port_of(listening));
    mixed[1] = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    say(mixed[0], "from 4 to 6");
    CHECK(close(listening) == 0);
    ready_and_wait();

    expect(plain[1], "there");
    expect(plain[0], "and back");
    say(plain[0], "on");
    expect(plain[1], "on");
    CHECK(option(plain[0], IPPROTO_TCP, TCP_NODELAY) && !option(plain[1], IPPROTO_TCP, TCP_NODELAY));
    CHECK(option(plain[1], SOL_SOCKET, SO_KEEPALIVE) && option(plain[1], IPPROTO_TCP, TCP_KEEPIDLE) == 123);
    CHECK(option(plain[0], SOL_SOCKET, SO_RCVLOWAT) == 1 && option(plain[0], SOL_SOCKET, SO_REUSEADDR) == 0);
    expect(half[1], "last words");
    char byte;
    CHECK(recv(half[1], &byte, 1, 0) == 0);
    CHECK(send(half[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    say(half[1], "an answer");
    expect(half[0], "an answer");
    CHECK(recv(peeked[1], looked, 3, MSG_PEEK) == 3 && memcmp(looked, has_offset ? "ked" : "loo", 3) == 0);
    if (has_offset) CHECK(option(peeked[1], SOL_SOCKET, SO_PEEK_OFF) == 6);
    expect(peeked[1], "looked at");
    CHECK(recv(deaf[0], &byte, 1, 0) == 0 && !has(deaf[1], POLLRDHUP));
    say(deaf[0], "to them");
    expect(deaf[1], "to them");
    CHECK(recv(ended[0], &byte, 1, 0) == 0 && recv(ended[1], &byte, 1, 0) == 0);
    CHECK(send(ended[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    char *seen = map(LARGE, PROT_READ | PROT_WRITE);
    CHECK(recv(full[1], seen, (size_t)much, MSG_WAITALL) == much && memcmp(seen, block, (size_t)much) == 0);
    CHECK(recv(full[1], seen, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    CHECK(recv(small[1], seen, (size_t)little, MSG_WAITALL) == little);
    for (ssize_t at = 0; at < little; at += 1000) CHECK(memcmp(seen + at, block + at, 1000) == 0);
    CHECK(option(small[1], SOL_SOCKET, SO_RCVBUF) == 2 * 4096);
    CHECK(option(mixed[0], SOL_SOCKET, SO_DOMAIN) == AF_INET && option(mixed[1], SOL_SOCKET, SO_DOMAIN) == AF_INET6);
    CHECK(fcntl(mixed[1], F_GETFL) == (O_RDWR | O_NONBLOCK));
    while (!has(mixed[1], POLLIN)) sched_yield();
    expect(mixed[1], "from 4 to 6");
    CHECK(close(plain[0]) == 0);
    CHECK(recv(plain[1], &byte, 1, 0) == 0);
    return SURVIVED;
}
