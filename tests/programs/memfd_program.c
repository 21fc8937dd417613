/* A program in a file in memory, which is mapped as well: it can still be started through the descriptor of memfd_create. */
#include "survive.h"
#include <sys/sendfile.h>
#include <sys/wait.h>

extern char **environ;

static int status_of(int program) {
    char *arguments[] = {"false", NULL};
    pid_t child = fork();
    if (child == 0) fexecve(program, arguments, environ), _exit(errno);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

int main(void) {
    struct stat stat;
    int from = open("/bin/false", O_RDONLY), program = memfd_create("program", MFD_CLOEXEC);
    CHECK(from >= 0 && fstat(from, &stat) == 0 && sendfile(program, from, NULL, stat.st_size) == stat.st_size);
    CHECK(close(from) == 0 && lseek(program, 7, SEEK_SET) == 7);
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, program, 0);
    CHECK(memory != MAP_FAILED && status_of(program) == 1);
    ready_and_wait();
    CHECK(lseek(program, 0, SEEK_CUR) == 7 && memcmp(memory, "\177ELF", 4) == 0);
    CHECK(status_of(program) == 1);
    return SURVIVED;
}
