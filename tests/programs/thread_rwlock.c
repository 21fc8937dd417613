/* Read-write locks that a thread holds, for reading and for writing, with readers and writers that wait. */
//# cflags: -pthread
#include "thread.h"

enum { KINDS = 4 }; /* bit 0: writers first; bit 1: process-shared */

struct lock {
    pthread_rwlock_t lock;
    struct thread reader, writer;
    int readers, writers;
};

static struct lock *read_by_sibling, *written_by_sibling, *written_by_main;
static int held;

static void *read_it(void *argument) {
    struct lock *lock = argument;
    CHECK(pthread_rwlock_rdlock(&lock->lock) == 0);
    count_up(&lock->readers);
    CHECK(pthread_rwlock_unlock(&lock->lock) == 0);
    return argument;
}

static void *write_it(void *argument) {
    struct lock *lock = argument;
    CHECK(pthread_rwlock_wrlock(&lock->lock) == 0);
    CHECK(pthread_rwlock_wrlock(&lock->lock) == EDEADLK);
    count_up(&lock->writers);
    CHECK(pthread_rwlock_unlock(&lock->lock) == 0);
    return argument;
}

static void check_and_unlock_written(struct lock *locks) {
    for (int i = 0; i < KINDS; i++) {
        CHECK(pthread_rwlock_wrlock(&locks[i].lock) == EDEADLK && pthread_rwlock_tryrdlock(&locks[i].lock) == EBUSY);
        CHECK(locks[i].readers == 0 && locks[i].writers == 0 && pthread_rwlock_unlock(&locks[i].lock) == 0);
    }
}

static void *hold(void *argument) {
    for (int i = 0; i < KINDS; i++) {
        CHECK(pthread_rwlock_rdlock(&read_by_sibling[i].lock) == 0);
        CHECK(pthread_rwlock_wrlock(&written_by_sibling[i].lock) == 0);
    }
    set(&held);
    wait_at_gate();
    check_and_unlock_written(written_by_sibling);
    for (int i = 0; i < KINDS; i++) {
        CHECK(read_by_sibling[i].writers == 0 && pthread_rwlock_trywrlock(&read_by_sibling[i].lock) == EBUSY);
        CHECK(pthread_rwlock_unlock(&read_by_sibling[i].lock) == 0);
    }
    return argument;
}

int main(void) {
    struct thread holder;
    size_t size = 3 * KINDS * sizeof(struct lock);
    struct lock *all = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(all != MAP_FAILED);
    read_by_sibling = all;
    written_by_sibling = all + KINDS;
    written_by_main = all + 2 * KINDS;
    for (int i = 0; i < 3 * KINDS; i++) {
        pthread_rwlockattr_t kind;
        CHECK(pthread_rwlockattr_init(&kind) == 0);
        CHECK(!(i & 1) || pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
        CHECK(!(i & 2) || pthread_rwlockattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0);
        CHECK(pthread_rwlock_init(&all[i].lock, &kind) == 0);
    }
    start(&holder, hold, NULL);
    wait_until_set(&held);
    for (int i = 0; i < KINDS; i++) CHECK(pthread_rwlock_wrlock(&written_by_main[i].lock) == 0);
    for (int i = 0; i < 3 * KINDS; i++) start(&all[i].writer, write_it, &all[i]);
    for (int i = 0; i < 3 * KINDS; i++) wait_until_in(&all[i].writer, SYS_futex);
    /* A reader waits for the readers that hold it only where writers go first. */
    for (int i = KINDS; i < 3 * KINDS; i++) start(&all[i].reader, read_it, &all[i]);
    for (int i = KINDS; i < 3 * KINDS; i++) wait_until_in(&all[i].reader, SYS_futex);
    ready_and_wait();
    check_and_unlock_written(written_by_main);
    open_gate();
    finish(&holder);
    for (int i = 0; i < 3 * KINDS; i++) {
        finish(&all[i].writer);
        if (i >= KINDS) finish(&all[i].reader);
        CHECK(all[i].writers == 1 && all[i].readers == (i >= KINDS));
        CHECK(pthread_rwlock_trywrlock(&all[i].lock) == 0 && pthread_rwlock_unlock(&all[i].lock) == 0);
        CHECK(pthread_rwlock_destroy(&all[i].lock) == 0);
    }
    return SURVIVED;
}
