/* A socket with a packet filter that cannot be read. */
//# refused: packet filter in extended BPF
//# needs: bpf
#include "survive.h"
#include <linux/bpf.h>
#include <sys/socket.h>
#include <sys/syscall.h>

int main(void) {
    /* r0 = 0xffff; exit */
    static const struct bpf_insn all[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 0xffff}, {.code = BPF_JMP | BPF_EXIT}};
    union bpf_attr program = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uintptr_t)all, .insn_cnt = 2, .license = (uintptr_t) ""};
    int filtered = socket(AF_INET, SOCK_DGRAM, 0), filter = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &program, sizeof program);
    CHECK(filtered >= 0 && filter >= 0);
    CHECK(setsockopt(filtered, SOL_SOCKET, SO_ATTACH_BPF, &filter, sizeof filter) == 0);
    CHECK(close(filter) == 0);
    ready_and_wait();
    return SURVIVED;
}
