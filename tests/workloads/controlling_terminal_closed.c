/* A pseudo-terminal of the program's own that is its controlling terminal, and whose slave side is not open. Says what has become of
 * that after a restart. */
#include "../programs/survive.h"
#include <sys/ioctl.h>

int main(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(slave >= 0 && getsid(0) == getpid() && ioctl(slave, TIOCSCTTY, 0) == 0 && close(slave) == 0);
    ready_and_wait();
    int terminal = open("/dev/tty", O_RDWR | O_NOCTTY);
    puts(terminal >= 0 ? "controls" : "does not");
    return SURVIVED;
}
