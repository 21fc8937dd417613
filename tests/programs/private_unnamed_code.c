/* Code in a deleted file that is still open, as what unpacks its libraries has it. */
#include "survive.h"

int main(void) {
    static const char code[] = "\xb8\x2a\x00\x00\x00\xc3"; /* mov eax, 42; ret */
    CHECK(mkdir("libraries", 0777) == 0 || errno == EEXIST);
    int fd = open("libraries/one", O_RDWR | O_CREAT | O_EXCL, 0700);
    CHECK(fd >= 0 && pwrite(fd, code, sizeof code, PAGE + 8) == sizeof code && ftruncate(fd, 2 * PAGE) == 0);
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, PAGE);
    char *changed = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd, 0);
    CHECK(memory != MAP_FAILED && changed != MAP_FAILED && unlink("libraries/one") == 0);
    memcpy(changed, code, sizeof code);
    int (*in_file)(void) = (int (*)(void))(memory + 8), (*own)(void) = (int (*)(void))changed;
    int (*behind)(void) = (int (*)(void))(changed + PAGE + 8);
    CHECK(in_file() == 42 && own() == 42 && behind() == 42);
    ready_and_wait();
    CHECK(in_file() == 42 && own() == 42 && behind() == 42);
    return SURVIVED;
}
