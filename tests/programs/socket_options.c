/* Options of sockets, as many as this kernel lets the program set. */
#include "socket.h"
#include <linux/net_tstamp.h>

#define LENGTH 64
#define ANY 0

struct one {
    int family, type, level, name;
    /* As a number; `bytes` where that is not what the option takes. */
    int value;
    const char *bytes;
    socklen_t size;
};

static const struct one all[] = {
    {ANY, ANY, SOL_SOCKET, 1 /* SO_DEBUG */, 1, NULL, 0},
    {ANY, ANY, SOL_SOCKET, SO_PRIORITY, 5, NULL, 0},
    {ANY, ANY, SOL_SOCKET, 41 /* SO_WIFI_STATUS */, 1, NULL, 0},
    {ANY, ANY, SOL_SOCKET, 43 /* SO_NOFCS */, 1, NULL, 0},
    {ANY, ANY, SOL_SOCKET, 61 /* SO_TXTIME */, 0, "\1\0\0\0\2\0\0\0", 8},
    {ANY, ANY, SOL_SOCKET, 64 /* SO_TIMESTAMPNS_NEW */, 1, NULL, 0},
    {ANY, ANY, SOL_SOCKET, 65 /* SO_TIMESTAMPING_NEW */, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE, NULL, 0},
    {ANY, ANY, SOL_SOCKET, 69 /* SO_PREFER_BUSY_POLL */, 1, NULL, 0},
    {ANY, ANY, SOL_SOCKET, 72 /* SO_BUF_LOCK */, 3, NULL, 0},
    {ANY, ANY, SOL_SOCKET, 74 /* SO_TXREHASH */, 0, NULL, 0},
    {ANY, ANY, SOL_SOCKET, 75 /* SO_RCVMARK */, 1, NULL, 0},
    {ANY, ANY, SOL_SOCKET, 82 /* SO_RCVPRIORITY */, 1, NULL, 0},
    {AF_INET, ANY, IPPROTO_IP, IP_TOS, 16, NULL, 0},
    {AF_INET, ANY, IPPROTO_IP, IP_OPTIONS, 0, "\x44\x0c\5\0\0\0\0\0\0\0\0\0", 12},
    {AF_INET, ANY, IPPROTO_IP, IP_RETOPTS, 1, NULL, 0},
    {AF_INET, ANY, IPPROTO_IP, IP_PASSSEC, 1, NULL, 0},
    {AF_INET, ANY, IPPROTO_IP, 23 /* IP_CHECKSUM */, 1, NULL, 0},
    {AF_INET, ANY, IPPROTO_IP, 25 /* IP_RECVFRAGSIZE */, 1, NULL, 0},
    {AF_INET, ANY, IPPROTO_IP, 26 /* IP_RECVERR_RFC4884 */, 1, NULL, 0},
    {AF_INET, ANY, IPPROTO_IP, IP_UNICAST_IF, 0, "\0\0\0\1", 4},
    {AF_INET6, ANY, IPPROTO_IPV6, 2 /* IPV6_2292PKTINFO */, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 3 /* IPV6_2292HOPOPTS */, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 4 /* IPV6_2292DSTOPTS */, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 5 /* IPV6_2292RTHDR */, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 8 /* IPV6_2292HOPLIMIT */, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 11 /* IPV6_FLOWINFO */, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 30 /* IPV6_ROUTER_ALERT_ISOLATE */, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 31 /* IPV6_RECVERR_RFC4884 */, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, IPV6_RECVHOPOPTS, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, IPV6_RECVRTHDR, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, IPV6_RECVDSTOPTS, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, IPV6_DSTOPTS, 0, "\0\0\1\4\0\0\0\0", 8},
    {AF_INET6, ANY, IPPROTO_IPV6, IPV6_RECVPATHMTU, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 70 /* IPV6_AUTOFLOWLABEL */, 0, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 73 /* IPV6_MINHOPCOUNT */, 7, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 74 /* IPV6_RECVORIGDSTADDR */, 1, NULL, 0},
    {AF_INET6, ANY, IPPROTO_IPV6, 76 /* IPV6_UNICAST_IF */, 0, "\0\0\0\1", 4},
    {AF_INET6, ANY, IPPROTO_IPV6, 77 /* IPV6_RECVFRAGSIZE */, 1, NULL, 0},
    {AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_MAXSEG, 900, NULL, 0},
    {AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_WINDOW_CLAMP, 20000, NULL, 0},
    {AF_INET, SOCK_STREAM, IPPROTO_TCP, 16 /* TCP_THIN_LINEAR_TIMEOUTS */, 1, NULL, 0},
    {AF_INET, SOCK_STREAM, IPPROTO_TCP, 34 /* TCP_FASTOPEN_NO_COOKIE */, 1, NULL, 0},
    {AF_INET, SOCK_STREAM, IPPROTO_TCP, 37 /* TCP_TX_DELAY */, 100, NULL, 0},
    {AF_INET, SOCK_STREAM, IPPROTO_TCP, 44 /* TCP_RTO_MAX_MS */, 2000, NULL, 0},
    {AF_INET, SOCK_STREAM, IPPROTO_TCP, 45 /* TCP_RTO_MIN_US */, 100000, NULL, 0},
    {AF_INET, SOCK_STREAM, IPPROTO_TCP, 46 /* TCP_DELACK_MAX_US */, 20000, NULL, 0},
    {AF_INET, SOCK_DGRAM, IPPROTO_UDP, 100 /* UDP_ENCAP */, 2, NULL, 0},
};

#define COUNT (sizeof all / sizeof *all)
#define SOCKETS 6

static const int families[SOCKETS] = {AF_INET, AF_INET, AF_INET6, AF_INET6, AF_UNIX, AF_UNIX};

int main(void) {
    static unsigned char was[SOCKETS][COUNT][LENGTH], is[LENGTH];
    static socklen_t sizes[SOCKETS][COUNT];
    int fds[SOCKETS], set = 0;
    for (int i = 0; i < SOCKETS; i++) {
        int type = i % 2 ? SOCK_DGRAM : SOCK_STREAM;
        fds[i] = socket(families[i], type, 0);
        CHECK(fds[i] >= 0);
        for (size_t j = 0; j < COUNT; j++) {
            const struct one *one = &all[j];
            if ((one->family != ANY && one->family != families[i]) || (one->type != ANY && one->type != type)) continue;
            const void *value = one->bytes ? (const void *)one->bytes : &one->value;
            set += setsockopt(fds[i], one->level, one->name, value, one->bytes ? one->size : sizeof(int)) == 0;
        }
        for (size_t j = 0; j < COUNT; j++) {
            sizes[i][j] = LENGTH;
            if (getsockopt(fds[i], all[j].level, all[j].name, was[i][j], &sizes[i][j]) != 0) sizes[i][j] = 0;
        }
    }
    CHECK(set > 60);
    ready_and_wait();
    int bad = 0;
    for (int i = 0; i < SOCKETS; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            socklen_t size = LENGTH;
            if (sizes[i][j] == 0) continue;
            CHECK(getsockopt(fds[i], all[j].level, all[j].name, is, &size) == 0);
            if (size == sizes[i][j] && memcmp(is, was[i][j], size) == 0) continue;
            fprintf(stderr, "socket %d, level %d, option %d: %d bytes, %d first, in place of %d bytes, %d first\n", i, all[j].level, all[j].name,
                    (int)size, is[0], (int)sizes[i][j], was[i][j][0]);
            bad++;
        }
    }
    CHECK(bad == 0);
    return SURVIVED;
}
