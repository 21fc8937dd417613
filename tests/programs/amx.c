/* The tiles of AMX and their configuration (arch_prctl(2), ARCH_REQ_XCOMP_PERM): in the main thread, in another one, in one that has them again
   behind a handler, and in one that uses them only afterwards. */
//# needs: amx_tile
//# cflags: -pthread
#include "thread.h"

enum { TILE = 1024, TILES = 8, TILE_DATA = 18, ARCH_GET_XCOMP_PERM = 0x1022, ARCH_REQ_XCOMP_PERM = 0x1023 };

struct config {
    uint8_t palette, start_row, zero[14];
    uint16_t columns[16];
    uint8_t rows[16];
} __attribute__((aligned(64)));

#define LOAD(n) "tileloadd " #n "*1024(%[at], %[stride]), %%tmm" #n "\n"
#define STORE(n) "tilestored %%tmm" #n ", " #n "*1024(%[at], %[stride])\n"
#define ALL(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

static volatile uint64_t go_on;
static volatile uint64_t *released;
static int ready;

/* Has something in the tiles while a function runs. No compiler uses them by itself. */
static void keep(uint64_t seed, void (*meanwhile)(void)) {
    char before[TILE * TILES], after[TILE * TILES];
    struct config config = {.palette = 1}, config_after;
    for (int i = 0; i < TILES; i++) config.columns[i] = 64, config.rows[i] = 16;
    fill(before, sizeof before, seed);
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
    __asm__ volatile(ALL(LOAD) : : [at] "r"(before), [stride] "r"((uint64_t)64) : "memory");
    meanwhile();
    __asm__ volatile(ALL(STORE) : : [at] "r"(after), [stride] "r"((uint64_t)64) : "memory");
    __asm__ volatile("sttilecfg %0" : "=m"(config_after));
    CHECK(memcmp(before, after, sizeof before) == 0 && memcmp(&config, &config_after, sizeof config) == 0);
    __asm__ volatile("tilerelease");
}

static void nothing(void) {}

static void spin(void) {
    while (*released == 0) {}
}

static void wait_there(void) {
    count_up(&ready);
    while (go_on == 0) {}
}

static void interrupt(int signal) {
    (void)signal;
    __asm__ volatile("tilerelease");
    wait_there();
}

static void be_handled(void) { CHECK(raise(SIGUSR1) == 0); }

static void *use(void *seed) {
    keep((uintptr_t)seed, wait_there);
    return NULL;
}

static void *use_around_handler(void *seed) {
    keep((uintptr_t)seed, be_handled);
    return NULL;
}

static void *use_later(void *seed) {
    wait_there();
    keep((uintptr_t)seed, nothing);
    return NULL;
}

int main(void) {
    void *(*const uses[])(void *) = {use, use_around_handler, use_later};
    struct thread threads[LENGTH(uses)];
    uint64_t permitted;
    CHECK(syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0);
    handle(SIGUSR1, interrupt, 0);
    for (int i = 0; i < LENGTH(uses); i++) start(&threads[i], uses[i], (void *)(uintptr_t)(80 + i));
    wait_until_counted(&ready, LENGTH(uses));
    released = release_word();
    say_ready();
    keep(79, spin);
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &permitted) == 0 && (permitted >> TILE_DATA & 1) != 0);
    go_on = 1;
    for (int i = 0; i < LENGTH(uses); i++) finish(&threads[i]);
    return SURVIVED;
}
