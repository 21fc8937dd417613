/* Pages that the program has made guards: touching one is a SIGSEGV, and what is behind them comes back when they are removed. */
//# needs: guard_pages
#include "survive.h"
#include <setjmp.h>
#include <signal.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

enum { SIZE = 16 * PAGE, FIRST = 4 * PAGE, LENGTH = 3 * PAGE };

struct memory {
    char *at;
    int seed, shared;
};

static sigjmp_buf before_access;

static void on_fault(int signal) {
    (void)signal;
    siglongjmp(before_access, 1);
}

static int is_guarded(const char *at) {
    if (sigsetjmp(before_access, 1) == 0) return *(const volatile char *)at, 0;
    return 1;
}

static char *new_map(void *hint, int flags, int fd) {
    char *memory = mmap(hint, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* With guards in the middle and at the end, if this kernel has them for such memory. */
static struct memory guarded(char *at, int seed, int shared) {
    fill(at, SIZE, seed);
    int here = madvise(at + FIRST, LENGTH, MADV_GUARD_INSTALL) == 0;
    CHECK(here || (errno == EINVAL && shared));
    CHECK(!here || madvise(at + SIZE - PAGE, PAGE, MADV_GUARD_INSTALL) == 0);
    return (struct memory){here ? at : NULL, seed, shared};
}

static void check(struct memory memory) {
    char content[SIZE], zeros[LENGTH] = {0};
    if (!memory.at) return;
    fill(content, SIZE, memory.seed);
    char *guards = memory.at + FIRST, *behind = guards + LENGTH, *end = memory.at + SIZE - PAGE;
    CHECK(memcmp(memory.at, content, FIRST) == 0 && memcmp(behind, content + FIRST + LENGTH, end - behind) == 0);
    CHECK(is_guarded(guards) && is_guarded(behind - 1) && is_guarded(end) && is_guarded(end + PAGE - 1));
    CHECK(munlock(memory.at, SIZE) == 0 && madvise(guards, LENGTH, MADV_GUARD_REMOVE) == 0);
    CHECK(memcmp(guards, memory.shared ? content + FIRST : zeros, LENGTH) == 0 && is_guarded(end));
    guards[0] = 1;
}

int main(void) {
    enum { ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };
    struct memory memories[8];
    int file = new_file("data", SIZE, 5), in_memory = memfd_create("guarded", 0), shared_file = new_file("shared", SIZE, 7);
    CHECK(ftruncate(in_memory, SIZE) == 0);
    memories[0] = guarded(new_map(NULL, ANONYMOUS, -1), 0, 0);
    /* Where the restorer is. */
    memories[1] = guarded(new_map((void *)0x5000000, ANONYMOUS | MAP_FIXED_NOREPLACE, -1), 1, 0);
    memories[2] = guarded(new_map(NULL, ANONYMOUS, -1), 2, 0);
    CHECK(madvise(memories[2].at, SIZE, MADV_DONTFORK) == 0);
    memories[3] = guarded(new_map(NULL, ANONYMOUS, -1), 3, 0);
    CHECK(mlock(memories[3].at, FIRST) == 0 && mprotect(memories[3].at, FIRST, PROT_READ) == 0);
    memories[4] = guarded(new_map(NULL, MAP_SHARED | MAP_ANONYMOUS, -1), 4, 1);
    /* A private mapping of a file, in which the guards hide the file's own pages. */
    char *private = new_map(NULL, MAP_PRIVATE, file);
    memories[5] = (struct memory){private, 5, 1};
    if (madvise(private + FIRST, LENGTH, MADV_GUARD_INSTALL) == -1) memories[5].at = NULL;
    else CHECK(madvise(private + SIZE - PAGE, PAGE, MADV_GUARD_INSTALL) == 0);
    memories[6] = guarded(new_map(NULL, MAP_SHARED, in_memory), 6, 1);
    memories[7] = guarded(new_map(NULL, MAP_SHARED, shared_file), 7, 1);
    CHECK(close(file) == 0 && close(in_memory) == 0 && close(shared_file) == 0);
    signal(SIGSEGV, on_fault);
    ready_and_wait();
    for (int i = 0; i < 8; i++) check(memories[i]);
    return SURVIVED;
}
