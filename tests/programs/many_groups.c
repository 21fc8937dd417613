/* As many groups as a directory service may have for a user: what the kernel tells behind them counts as well. */
//# needs: root
#include "survive.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/syscall.h>

enum { COUNT = 3000 };

static struct __user_cap_data_struct rights[2];

static void get_rights(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    CHECK(syscall(SYS_capget, &header, rights) == 0);
}

int main(void) {
    static gid_t groups[COUNT], found[COUNT];
    for (unsigned i = 0; i < COUNT; i++) groups[i] = 1000000000u + 7 * i;
    CHECK(setgroups(COUNT, groups) == 0);
    get_rights();
    const unsigned effective = rights[0].effective;
    ready_and_wait();
    CHECK(getgroups(COUNT, found) == COUNT && memcmp(groups, found, sizeof groups) == 0);
    get_rights();
    CHECK(effective != 0 && rights[0].effective == effective);
    return SURVIVED;
}
