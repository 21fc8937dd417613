/* A robust lock that the thread was just taking: its word has the id, and only the robust list says so. */
#include "survive.h"
#include <linux/futex.h>
#include <sys/syscall.h>

static struct {
    struct robust_list entry;
    unsigned word;
} lock;

int main(void) {
    struct robust_list_head *head;
    size_t size;
    CHECK(syscall(SYS_get_robust_list, 0, &head, &size) == 0 && size == sizeof *head);
    const struct robust_list_head saved = *head;
    const long id = syscall(SYS_gettid);
    lock.word = (unsigned)id | FUTEX_WAITERS;
    head->futex_offset = (char *)&lock.word - (char *)&lock.entry;
    head->list_op_pending = &lock.entry;
    ready_and_wait();
    CHECK(lock.word == ((unsigned)syscall(SYS_gettid) | FUTEX_WAITERS));
    *head = saved;
    return SURVIVED;
}
