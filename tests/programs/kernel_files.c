/* Files of the kernel's own file systems: they tell of the new process, and of its threads. */
#include "thread.h"
#include <dirent.h>

static char text[65536];

/* What there is from the offset on. */
static const char *rest_of(int fd) {
    ssize_t length, all = 0;
    while ((length = read(fd, text + all, sizeof text - 1 - (size_t)all)) > 0) all += length;
    CHECK(length == 0);
    text[all] = 0;
    return text;
}

static const char *all_of(int fd) {
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return rest_of(fd);
}

static int open_of(pid_t tid, const char *name, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, name);
    int fd = open(path, flags);
    CHECK(fd >= 0);
    return fd;
}

static pid_t second_tid;

static void *wait_and_name(void *argument) {
    wait_at_gate();
    CHECK(pthread_setname_np(pthread_self(), "afterwards") == 0);
    __atomic_store_n(&second_tid, gettid(), __ATOMIC_SEQ_CST);
    return argument;
}

int main(void) {
    struct thread thread;
    start(&thread, wait_and_name, NULL);
    wait_until_in(&thread, SYS_futex);
    char line[64];

    int by_number = (snprintf(line, sizeof line, "/proc/%d/stat", getpid()), open(line, O_RDONLY));
    int read_before = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    int through_thread = open("/proc/thread-self/stat", O_RDONLY), maps = open("/proc/self/maps", O_RDONLY);
    int numbers = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    int memory = open("/proc/meminfo", O_RDONLY), mem = open("/proc/self/mem", O_RDWR);
    int kernel = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
    int info = open("/proc/self/fdinfo/0", O_RDONLY);
    CHECK(by_number >= 0 && read_before >= 0 && through_thread >= 0 && maps >= 0 && numbers >= 0);
    CHECK(memory >= 0 && mem >= 0 && info >= 0);
    int stat = open_of(thread.tid, "stat", O_RDONLY), name = open_of(thread.tid, "comm", O_RDWR);
    int directory = open_of(thread.tid, "", O_RDONLY | O_DIRECTORY), path = open_of(thread.tid, "", O_PATH);
    int copy = dup3(stat, 100, O_CLOEXEC);
    CHECK(copy == 100);
    CHECK(read(memory, line, 20) == 20 && rest_of(read_before)[0] && all_of(stat)[0]);
    off_t end = lseek(read_before, 0, SEEK_CUR);

    ready_and_wait();
    CHECK(atoi(all_of(by_number)) == getpid());
    CHECK(atoi(all_of(through_thread)) == getpid());
    CHECK(lseek(read_before, 0, SEEK_CUR) == end && atoi(all_of(read_before)) == getpid());
    CHECK(fcntl(read_before, F_GETFD) == FD_CLOEXEC && fcntl(by_number, F_GETFD) == 0);
    CHECK(strstr(all_of(maps), "libckpt"));
    CHECK(lseek(memory, 0, SEEK_CUR) == 20 && strstr(rest_of(memory), "MemAvailable"));
    CHECK(kernel < 0 || strchr(all_of(kernel), '['));
    CHECK(strncmp(all_of(info), "pos:", 4) == 0);
    int secret = 4711, found;
    CHECK(pread(mem, &found, sizeof found, (off_t)&secret) == sizeof found && found == secret);
    DIR *list = fdopendir(dup(numbers));
    CHECK(list);
    int has_itself = 0;
    for (struct dirent *entry; (entry = readdir(list));) has_itself |= atoi(entry->d_name) == numbers;
    CHECK(has_itself && closedir(list) == 0);

    CHECK(fcntl(copy, F_GETFD) == FD_CLOEXEC && lseek(copy, 0, SEEK_CUR) == lseek(stat, 0, SEEK_CUR));
    CHECK(lseek(copy, 0, SEEK_CUR) > 0 && atoi(all_of(stat)) != getpid());
    open_gate();
    finish(&thread);
    /* An ended thread shows nothing any more, so the id was kept from before the end. */
    CHECK(atoi(text) == second_tid);
    CHECK(fcntl(path, F_GETFL) & O_PATH);
    CHECK(fcntl(name, F_GETFL) & O_RDWR && fcntl(directory, F_GETFL) & O_DIRECTORY);
    return SURVIVED;
}
