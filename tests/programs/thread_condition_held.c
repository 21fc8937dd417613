/* Threads that wait for conditions while another one holds their mutexes, which inherit priorities, across the checkpoint: libc takes these again
   by itself when they are told, when their time has come, and when they are cancelled. */
//# cflags: -pthread
#include "thread.h"
#include <dirent.h>

enum { TOLD, TIMED, CANCELLED, COUNT };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    int waits, back;
} all[COUNT];

static void give_back(void *mutex) {
    CHECK(pthread_mutex_unlock(mutex) == 0);
}

static void *wait_for_it(void *number) {
    size_t i = (size_t)number;
    CHECK(pthread_mutex_lock(&all[i].mutex) == 0);
    pthread_cleanup_push(give_back, &all[i].mutex);
    set(&all[i].waits);
    struct timespec limit = time_of(now() + 1);
    int result = i == TIMED ? pthread_cond_clockwait(&all[i].condition, &all[i].mutex, CLOCK_MONOTONIC, &limit)
                            : pthread_cond_wait(&all[i].condition, &all[i].mutex);
    CHECK(result == (i == TIMED ? ETIMEDOUT : 0));
    set(&all[i].back);
    pthread_cleanup_pop(1);
    return number;
}

/* Whether a thread waits in the kernel for this mutex. */
static int is_waited_for(const pthread_mutex_t *mutex) {
    char line[128];
    int found = 0;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (const struct dirent *task; !found && (task = readdir(tasks)) != NULL;) {
        char path[300];
        snprintf(path, sizeof path, "/proc/self/task/%s/syscall", task->d_name);
        int fd = open(path, O_RDONLY);
        if (fd < 0) continue;
        ssize_t length = read(fd, line, sizeof line - 1);
        close(fd);
        if (length <= 0) continue;
        line[length] = 0;
        long number;
        unsigned long address;
        found = sscanf(line, "%ld %lx", &number, &address) == 2 && number == SYS_futex && address == (unsigned long)mutex;
    }
    closedir(tasks);
    return found;
}

int main(void) {
    struct thread threads[COUNT];
    pthread_mutexattr_t kind;
    CHECK(pthread_mutexattr_init(&kind) == 0 && pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT) == 0);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(pthread_mutex_init(&all[i].mutex, &kind) == 0 && pthread_cond_init(&all[i].condition, NULL) == 0);
        start(&threads[i], wait_for_it, (void *)i);
        wait_until_set(&all[i].waits);
        /* Then it waits, and has given it back. */
        CHECK(pthread_mutex_lock(&all[i].mutex) == 0);
    }
    ready_and_wait();
    CHECK(pthread_cond_signal(&all[TOLD].condition) == 0 && pthread_cancel(threads[CANCELLED].id) == 0);
    for (int i = 0; i < COUNT; i++) {
        while (!is_waited_for(&all[i].mutex)) sched_yield();
        CHECK(!is_set(&all[i].back) && pthread_mutex_unlock(&all[i].mutex) == 0);
        CHECK(finish(&threads[i]) == (i == CANCELLED ? PTHREAD_CANCELED : (void *)(size_t)i));
        CHECK(is_set(&all[i].back) == (i != CANCELLED) && pthread_mutex_trylock(&all[i].mutex) == 0);
    }
    return SURVIVED;
}
