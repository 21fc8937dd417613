/* A map of BPF. */
//# refused: BPF
//# needs: bpf
#include "survive.h"
#include <linux/bpf.h>
#include <sys/syscall.h>

int main(void) {
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map);
    CHECK(fd >= 0);
    ready_and_wait();
    CHECK(close(fd) == 0);
    return SURVIVED;
}
