/* A context of the kernel's own asynchronous input and output. */
//# refused: io_destroy
//# needs: aio
#include "survive.h"
#include <linux/aio_abi.h>
#include <sys/syscall.h>

int main(void) {
    aio_context_t context = 0;
    CHECK(syscall(SYS_io_setup, 4, &context) == 0);
    ready_and_wait();
    CHECK(syscall(SYS_io_destroy, context) == 0);
    return SURVIVED;
}
