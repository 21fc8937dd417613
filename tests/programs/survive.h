/* What the programs share: say that the state is set up, wait for the release, say what did not survive. */
#pragma once
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SURVIVED = 42, PAGE = 4096 };

#define FAIL(...) (dprintf(2, __VA_ARGS__), dprintf(2, " (line %d)\n", __LINE__), _exit(1))
#define CHECK(condition) ((condition) ? (void)0 : FAIL("not so: %s, errno %d", #condition, errno))

/* Absolute names, since a program may change its directory. */
static char ready_path[512], ping_path[512], release_path[512];

__attribute__((constructor)) static void name_the_files(void) {
    char here[500];
    if (!getcwd(here, sizeof here)) _exit(1);
    snprintf(ready_path, sizeof ready_path, "%s/ready", here);
    snprintf(ping_path, sizeof ping_path, "%s/ping", here);
    snprintf(release_path, sizeof release_path, "%s/release", here);
}

/* A directory rather than a file, since making one takes no descriptor. */
__attribute__((unused)) static void say_ready(void) { mkdir(ready_path, 0777); }

/* Whether the release has come. Removing `ping` is the sign of life. */
__attribute__((unused)) static int is_released(void) {
    rmdir(ping_path);
    return access(release_path, F_OK) == 0;
}

/* Returns after the release. Leaves errno alone. */
__attribute__((unused)) static void wait_for_release(void) {
    int saved = errno;
    while (!is_released()) sched_yield();
    errno = saved;
}

__attribute__((unused)) static void ready_and_wait(void) {
    say_ready();
    wait_for_release();
}

/* How much larger than a signal frame an alternate stack has to be for handlers to run there under libckpt. */
__attribute__((unused)) static size_t room_for_handlers(void) {
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded && strstr(preloaded, "/debug/") ? 17 << 10 : 5 << 10;
}

/* Until the kernel has forgotten the threads that were detached or have just been joined. */
__attribute__((unused)) static void wait_until_alone(void) {
    struct stat tasks;
    do CHECK(sched_yield() == 0 && stat("/proc/self/task", &tasks) == 0);
    while (tasks.st_nlink != 3);
}

/* For assembly that may make no system call: a word that becomes other than 0 at the release. */
__attribute__((unused)) static volatile uint64_t *release_word(void) {
    int fd = open("release.word", O_RDWR | O_CREAT, 0666);
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0 && close(fd) == 0);
    fd = open("release.word", O_RDONLY);
    void *word = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(word != MAP_FAILED && close(fd) == 0);
    return (volatile uint64_t *)word;
}

/* Memory with content that depends on the seed. */
__attribute__((unused)) static void fill(void *memory, size_t size, uint64_t seed) {
    for (uint64_t *word = (uint64_t *)memory; size >= sizeof *word; size -= sizeof *word)
        *word++ = seed = seed * 6364136223846793005u + 1442695040888963407u;
}

__attribute__((unused)) static int is_filled(const void *memory, size_t size, uint64_t seed) {
    for (const uint64_t *word = (const uint64_t *)memory; size >= sizeof *word; size -= sizeof *word)
        if (*word++ != (seed = seed * 6364136223846793005u + 1442695040888963407u)) return 0;
    return 1;
}

/* Fresh anonymous memory. */
__attribute__((unused)) static char *map(size_t size, int protection) {
    void *memory = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return (char *)memory;
}

/* A new file of `size` filled bytes, open for reading and writing. */
__attribute__((unused)) static int new_file(const char *name, size_t size, uint64_t seed) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0666);
    char *content = map(size + 1, PROT_READ | PROT_WRITE);
    fill(content, size, seed);
    CHECK(fd >= 0 && write(fd, content, size) == (ssize_t)size);
    munmap(content, size + 1);
    return fd;
}
