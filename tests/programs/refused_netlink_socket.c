/* A netlink socket of a protocol with a state of its own. */
//# refused: netlink socket
#include "survive.h"
#include <linux/netlink.h>
#include <sys/socket.h>

int main(void) {
    int generic = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
    CHECK(generic >= 0);
    ready_and_wait();
    return SURVIVED;
}
