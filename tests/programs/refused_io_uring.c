/* An io_uring, with its rings mapped. */
//# refused: io_uring has work in flight
//# needs: io_uring
//# env: CKPT_IO_URING=allow
#include "survive.h"
#include <linux/io_uring.h>
#include <sys/syscall.h>

int main(void) {
    struct io_uring_params parameters = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 4, &parameters);
    CHECK(fd >= 0);
    size_t size = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
    void *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
    CHECK(rings != MAP_FAILED);
    ready_and_wait();
    CHECK(munmap(rings, size) == 0 && close(fd) == 0);
    return SURVIVED;
}
