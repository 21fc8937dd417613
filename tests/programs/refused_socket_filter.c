/* A socket with a packet filter. */
//# refused: packet filter
#include "survive.h"
#include <linux/filter.h>
#include <sys/socket.h>

int main(void) {
    int filtered = socket(AF_INET, SOCK_DGRAM, 0);
    struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0xffff);
    struct sock_fprog filter = {.len = 1, .filter = &all};
    CHECK(setsockopt(filtered, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0);
    ready_and_wait();
    return SURVIVED;
}
