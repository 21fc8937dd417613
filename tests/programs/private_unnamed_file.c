/* Files without a name that are mapped privately: what the program has not changed is the file's, now and later; what it has dropped is the
   file's again; what it has changed is its own, also zeros. */
#include "survive.h"

enum { PAGES = 8, SIZE = PAGES * PAGE };

static char content[SIZE];

struct file {
    int fd;
    char *changed, *untouched, *no_permission, *code;
};

/* The first page is the file's, the second the program's, the third zeros of the program's, the fourth dropped. */
static struct file map_file(int fd) {
    struct file file = {.fd = fd};
    CHECK(pwrite(fd, content, SIZE, 0) == SIZE);
    int prot = PROT_READ | PROT_WRITE;
    CHECK((file.changed = mmap(NULL, SIZE, prot, MAP_PRIVATE, fd, 0)) != MAP_FAILED);
    CHECK((file.untouched = mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_NORESERVE, fd, 2 * PAGE)) != MAP_FAILED);
    CHECK((file.no_permission = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE, fd, PAGE)) != MAP_FAILED);
    CHECK((file.code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 5 * PAGE)) != MAP_FAILED);
    fill(file.changed + PAGE, PAGE, 77);
    memset(file.changed + 2 * PAGE, 0, PAGE);
    file.changed[3 * PAGE] ^= 1;
    CHECK(madvise(file.changed + 3 * PAGE, PAGE, MADV_DONTNEED) == 0);
    return file;
}

static int is_zero(const char *memory) {
    for (int i = 0; i < PAGE; i++)
        if (memory[i]) return 0;
    return 1;
}

static void check(struct file *file) {
    char byte;
    CHECK(memcmp(file->changed, content, PAGE) == 0 && memcmp(file->untouched, content + 2 * PAGE, PAGE) == 0);
    CHECK(is_filled(file->changed + PAGE, PAGE, 77) && is_zero(file->changed + 2 * PAGE));
    CHECK(memcmp(file->changed + 3 * PAGE, content + 3 * PAGE, SIZE - 3 * PAGE) == 0);
    CHECK(memcmp(file->code, content + 5 * PAGE, PAGE) == 0);
    /* What is written to the file shows where the program has not written. */
    CHECK(pwrite(file->fd, "a", 1, 0) == 1 && pwrite(file->fd, "b", 1, PAGE) == 1 && pwrite(file->fd, "c", 1, 2 * PAGE) == 1);
    CHECK(pwrite(file->fd, "d", 1, 3 * PAGE) == 1);
    CHECK(file->changed[0] == 'a' && is_filled(file->changed + PAGE, PAGE, 77) && file->changed[2 * PAGE] == 0);
    CHECK(file->changed[3 * PAGE] == 'd' && file->untouched[0] == 'c');
    CHECK(mprotect(file->no_permission, 2 * PAGE, PROT_READ) == 0 && file->no_permission[0] == 'b');
    /* What the program writes does not show in the file. */
    file->changed[4 * PAGE] ^= 1;
    CHECK(pread(file->fd, &byte, 1, 4 * PAGE) == 1 && byte == content[4 * PAGE]);
    /* And what it drops is the file's. */
    CHECK(madvise(file->changed, SIZE, MADV_DONTNEED) == 0 && file->changed[PAGE] == 'b');
    CHECK(memcmp(file->changed + 4 * PAGE, content + 4 * PAGE, SIZE - 4 * PAGE) == 0);
}

int main(void) {
    fill(content, SIZE, 5);
    int deleted = open("data", O_RDWR | O_CREAT | O_EXCL, 0600), sealed = memfd_create("sealed", MFD_ALLOW_SEALING);
    CHECK(deleted >= 0 && unlink("data") == 0 && sealed >= 0);
    struct file files[] = {map_file(memfd_create("memory", 0)), map_file(deleted)};
    /* A template that nobody can change any more, as virtual machines have it. */
    CHECK(pwrite(sealed, content, SIZE, 0) == SIZE && fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    char *instance = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, sealed, 0);
    CHECK(instance != MAP_FAILED);
    memset(instance, 1, SIZE);
    /* Nobody else has this one; of the next, a part is mapped shared. */
    int alone = memfd_create("alone", 0), shared = memfd_create("shared", 0);
    CHECK(pwrite(alone, content, SIZE, 0) == SIZE && pwrite(shared, content, SIZE, 0) == SIZE);
    char *lonely = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, alone, 0);
    char *mine = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, shared, 0);
    char *everybodys = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 4 * PAGE);
    CHECK(lonely != MAP_FAILED && mine != MAP_FAILED && everybodys != MAP_FAILED && close(alone) == 0 && close(shared) == 0);
    lonely[PAGE] ^= 1, mine[PAGE] ^= 1;
    ready_and_wait();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) check(&files[i]);
    CHECK(instance[SIZE - 1] == 1 && madvise(instance, SIZE, MADV_DONTNEED) == 0 && memcmp(instance, content, SIZE) == 0);
    CHECK(lonely[0] == content[0] && lonely[PAGE] == (char)(content[PAGE] ^ 1));
    CHECK(memcmp(lonely + 2 * PAGE, content + 2 * PAGE, SIZE - 2 * PAGE) == 0);
    CHECK(mine[0] == content[0] && mine[PAGE] == (char)(content[PAGE] ^ 1) && memcmp(everybodys, content + 4 * PAGE, PAGE) == 0);
    CHECK(memcmp(mine + 2 * PAGE, content + 2 * PAGE, SIZE - 2 * PAGE) == 0);
    return SURVIVED;
}
