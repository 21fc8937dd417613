/* A file in huge pages that is mapped shared. None needs to be there for that. */
//# refused: in huge pages of hugetlbfs is not supported
//# needs: memfd_hugetlb
#include "survive.h"

int main(void) {
    enum { HUGE = 1 << 30 }; /* whatever the size of a page is */
    int fd = memfd_create("huge", MFD_HUGETLB);
    CHECK(fd >= 0 && ftruncate(fd, HUGE) == 0);
    char *memory = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    CHECK(memory != MAP_FAILED && close(fd) == 0);
    ready_and_wait();
    CHECK(munmap(memory, HUGE) == 0);
    return SURVIVED;
}
