/* A pseudo-terminal of the program's own that is its controlling terminal, in a session that the program leads. Says what has become
 * of that after a restart. */
#include "../programs/survive.h"
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal) { interrupted = signal; }

static int controls(int slave) { return tcgetsid(slave) == getpid() && tcgetpgrp(slave) == getpgrp(); }

int main(void) {
    char text[16];
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    CHECK(slave >= 0 && getsid(0) == getpid() && ioctl(slave, TIOCSCTTY, 0) == 0 && controls(slave));
    CHECK(signal(SIGINT, on_interrupt) != SIG_ERR);
    ready_and_wait();
    puts(controls(slave) ? "controls" : "does not");
    if (!controls(slave)) return SURVIVED;
    int tty = open("/dev/tty", O_RDWR);
    CHECK(tty >= 0 && write(tty, "tty", 3) == 3 && read(master, text, sizeof text) == 3);
    CHECK(write(master, "\003", 1) == 1);
    while (interrupted != SIGINT) usleep(1000);
    return SURVIVED;
}
