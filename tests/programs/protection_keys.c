/* Protection keys: the keys themselves, what has them, what each thread may do with them, and which are free. */
//# needs: ospke
//# cflags: -pthread -mpku
#include "smaps.h"
#include "thread.h"
#include <immintrin.h>
#include <setjmp.h>
#include <signal.h>

enum { SECRET = 0x5ec3e7, WORDS = PAGE / sizeof(int) };

static __thread sigjmp_buf back;
static __thread siginfo_t fault;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    fault = *info;
    siglongjmp(back, 1);
}

/* Which key forbids the caller to read (or write) there; 0 if none does. Who leaves a handler by a jump keeps its rights. */
static int forbidden(volatile int *at, int writes) {
    unsigned rights = _rdpkru_u32();
    if (sigsetjmp(back, 1) != 0) {
        _wrpkru(rights);
        CHECK(fault.si_signo == SIGSEGV && fault.si_code == SEGV_PKUERR);
        return (int)fault.si_pkey;
    }
    if (writes) *at = SECRET;
    else CHECK(*at == SECRET);
    return 0;
}

static int read_key, write_key, freed_key, unused_key;
static int *hidden, *constant, *former, *shared, *file, *rest;

static int key_of(const void *address) { return atoi(value_of(address, "ProtectionKey:")); }

static void *other_rights(void *is_ready) {
    CHECK(pkey_set(read_key, 0) == 0);
    CHECK(forbidden(hidden, 0) == 0);
    set((int *)is_ready);
    wait_for_release();
    CHECK(pkey_get(read_key) == 0 && pkey_get(write_key) == PKEY_DISABLE_WRITE);
    CHECK(forbidden(hidden, 0) == 0 && forbidden(hidden, 1) == 0);
    CHECK(forbidden(constant, 0) == 0 && forbidden(constant, 1) == write_key);
    return NULL;
}

static int *with_secret(void *memory) {
    int *at = memory;
    CHECK(at != MAP_FAILED);
    for (int word = 0; word < WORDS; word++) at[word] = SECRET;
    return at;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);

    /* Execute-only memory comes first, so the kernel's key is the lowest. */
    char *code = map(PAGE, PROT_READ | PROT_WRITE);
    memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov eax, 42; ret */
    CHECK(mprotect(code, PAGE, PROT_EXEC) == 0);

    hidden = with_secret(map(PAGE, PROT_READ | PROT_WRITE));
    constant = with_secret(map(PAGE, PROT_READ | PROT_WRITE));
    former = with_secret(map(PAGE, PROT_READ | PROT_WRITE));
    shared = with_secret(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    rest = (int *)map(64 * PAGE, PROT_READ | PROT_WRITE);
    int fd = open("/proc/self/exe", O_RDONLY);
    file = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(file != MAP_FAILED && close(fd) == 0);
    int first_word = *file;

    freed_key = pkey_alloc(0, 0);
    write_key = pkey_alloc(0, 0);
    unused_key = pkey_alloc(0, 0);
    int hole = pkey_alloc(0, 0);
    read_key = pkey_alloc(0, 0);
    CHECK(freed_key > 0 && write_key > 0 && unused_key > 0 && hole > 0 && read_key > 0);
    CHECK(pkey_mprotect(hidden, PAGE, PROT_READ | PROT_WRITE, read_key) == 0);
    CHECK(pkey_mprotect(shared, PAGE, PROT_READ | PROT_WRITE, read_key) == 0);
    CHECK(pkey_mprotect(constant, PAGE, PROT_READ | PROT_WRITE, write_key) == 0);
    CHECK(pkey_mprotect(rest, 64 * PAGE, PROT_READ | PROT_WRITE, write_key) == 0);
    CHECK(pkey_mprotect(file, PAGE, PROT_READ, read_key) == 0);
    CHECK(pkey_mprotect(former, PAGE, PROT_READ | PROT_WRITE, freed_key) == 0);
    for (int page = 0; page < 64; page++) rest[page * WORDS] = page;
    CHECK(pkey_free(hole) == 0 && pkey_free(freed_key) == 0);
    CHECK(pkey_set(read_key, PKEY_DISABLE_ACCESS) == 0 && pkey_set(write_key, PKEY_DISABLE_WRITE) == 0);

    int is_ready = 0;
    struct thread thread;
    start(&thread, other_rights, &is_ready);
    wait_until_set(&is_ready);
    ready_and_wait();
    finish(&thread);

    CHECK(pkey_get(read_key) == PKEY_DISABLE_ACCESS && pkey_get(write_key) == PKEY_DISABLE_WRITE);
    CHECK(pkey_get(unused_key) == 0);
    CHECK(forbidden(hidden, 0) == read_key && forbidden(shared, 0) == read_key);
    CHECK(forbidden(file, 0) == read_key);
    CHECK(forbidden(constant, 0) == 0 && forbidden(constant, 1) == write_key);
    CHECK(key_of(former) == freed_key && forbidden(former, 0) == 0);
    for (int page = 0; page < 64; page++) CHECK(rest[page * WORDS] == page);
    CHECK(forbidden(rest, 1) == write_key);
    CHECK(((int (*)(void))code)() == 42);
    int kernels = forbidden((int *)code, 0);
    CHECK(kernels > 0 && kernels == key_of(code));

    /* The lowest free keys come first. */
    CHECK(pkey_free(kernels) == -1);
    int lower = freed_key < hole ? freed_key : hole;
    CHECK(pkey_alloc(0, 0) == lower && pkey_alloc(0, 0) == freed_key + hole - lower);
    CHECK(pkey_alloc(0, 0) > read_key);

    CHECK(pkey_set(read_key, 0) == 0 && pkey_set(write_key, 0) == 0);
    for (int word = 0; word < WORDS; word++) CHECK(hidden[word] == SECRET && shared[word] == SECRET && constant[word] == SECRET);
    CHECK(*file == first_word);
    CHECK(pkey_free(unused_key) == 0 && pkey_free(write_key) == 0 && pkey_free(read_key) == 0);
    return SURVIVED;
}
