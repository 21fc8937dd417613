/* Shared anonymous memory: its content, and that it is still shared with a child. */
#include "survive.h"
#include <sys/wait.h>

int main(void) {
    enum { SIZE = 1 << 20 };
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    fill(memory, SIZE / 2, 16);
    ready_and_wait();
    CHECK(is_filled(memory, SIZE / 2, 16) && memory[SIZE - 1] == 0);
    pid_t child = fork();
    if (child == 0) {
        memory[0] = 42;
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    return memory[0] == 42 ? SURVIVED : 1;
}
