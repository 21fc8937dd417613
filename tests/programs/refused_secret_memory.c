/* Memory that not even the kernel reads. */
//# refused: secret memory
//# needs: memfd_secret
#include "survive.h"
#include <sys/syscall.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

int main(void) {
    int fd = (int)syscall(SYS_memfd_secret, 0);
    CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED && close(fd) == 0);
    fill(memory, PAGE, 1);
    ready_and_wait();
    CHECK(is_filled(memory, PAGE, 1));
    return SURVIVED;
}
