/* Runs a program on a kernel without some system call: `without_call CALL INDEX VALUE ERROR PROGRAM ARGUMENTS`, where CALL fails
 * with ERROR if its argument number INDEX has, in its lower half, the VALUE. All are numbers. A filter sees to that. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count < 6) return 1;
    const unsigned call = (unsigned)atoi(arguments[1]), index = (unsigned)atoi(arguments[2]);
    const unsigned value = (unsigned)strtoul(arguments[3], NULL, 10), error = (unsigned)atoi(arguments[4]);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, args) + index * 8),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("the filter");
        return 1;
    }
    execv(arguments[5], arguments + 5);
    perror(arguments[5]);
    return 1;
}
