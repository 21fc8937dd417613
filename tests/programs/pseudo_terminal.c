/* Pseudo-terminals of which the program has both sides: content in both directions, lines and parts of them, settings, size, packets;
 * one whose other side is closed; one that was never opened. */
#include "survive.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static int new_master(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    return master;
}

static int slave_of(int master, int flags) {
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | flags);
    CHECK(slave >= 0);
    return slave;
}

static int reads(int fd, const char *expected) {
    char text[PAGE];
    ssize_t length = read(fd, text, sizeof text);
    return length == (ssize_t)strlen(expected) && memcmp(text, expected, (size_t)length) == 0;
}

static void writes(int fd, const char *text) { CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text)); }

/* What is written arrives a moment later. */
static void wait_for(int fd, const char *text) {
    int count = 0;
    do CHECK(ioctl(fd, FIONREAD, &count) == 0);
    while (count < (int)strlen(text));
}

int main(void) {
    /* Lines. What the slave side reads is echoed to the master side. */
    int lines = new_master(), lines_slave = slave_of(lines, 0), copy = dup(lines), again = slave_of(lines, O_NONBLOCK);
    struct termios settings, raw, now;
    struct winsize size = {.ws_row = 33, .ws_col = 111, .ws_xpixel = 7, .ws_ypixel = 8}, size_now;
    CHECK(ioctl(lines, TIOCSWINSZ, &size) == 0 && tcgetattr(lines_slave, &settings) == 0);
    settings.c_cc[VERASE] = '#';
    CHECK(tcsetattr(lines_slave, TCSANOW, &settings) == 0);
    writes(lines, "first\nsecoo#nd\npar");
    wait_for(lines, "first\r\nsecoo\b \bnd\r\npar");
    writes(lines_slave, "to the master\n");
    wait_for(lines, "first\r\nsecoo\b \bnd\r\nparto the master\r\n");
    /* No lines, no echo, everything as it is. */
    int plain = new_master(), plain_slave = slave_of(plain, 0), on = 1;
    CHECK(tcgetattr(plain_slave, &raw) == 0);
    cfmakeraw(&raw);
    CHECK(tcsetattr(plain_slave, TCSANOW, &raw) == 0 && ioctl(plain, TIOCPKT, &on) == 0);
    writes(plain, "a\003b\n\004");
    writes(plain_slave, "c\n\r");
    wait_for(plain_slave, "a\003b\n\004");
    wait_for(plain, "c\n\r");
    /* One whose other side is closed, with something left to read, and one that was never opened. */
    int alone = new_master(), closed = slave_of(alone, 0), locked = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    writes(closed, "last words");
    CHECK(close(closed) == 0 && locked >= 0);
    struct pollfd hang_up = {.fd = alone, .events = POLLIN};
    CHECK(poll(&hang_up, 1, -1) == 1 && (hang_up.revents & POLLHUP));
    ready_and_wait();
    CHECK(tcgetattr(lines_slave, &now) == 0 && memcmp(&now, &settings, sizeof now) == 0);
    CHECK(ioctl(lines_slave, TIOCGWINSZ, &size_now) == 0 && memcmp(&size, &size_now, sizeof size) == 0);
    CHECK(tcgetattr(plain_slave, &now) == 0 && memcmp(&now, &raw, sizeof now) == 0);
    CHECK(fcntl(again, F_GETFL) & O_NONBLOCK && !(fcntl(lines_slave, F_GETFL) & O_NONBLOCK));
    CHECK(reads(lines_slave, "first\n") && reads(again, "second\n"));
    CHECK(read(again, &now, 1) == -1 && errno == EAGAIN);
    CHECK(reads(copy, "first\r\nsecoo\b \bnd\r\nparto the master\r\n"));
    writes(copy, "t\n");
    CHECK(reads(lines_slave, "part\n") && reads(lines, "t\r\n"));
    CHECK(reads(plain_slave, "a\003b\n\004"));
    char packet[8];
    CHECK(read(plain, packet, sizeof packet) == 4 && memcmp(packet, "\0c\n\r", 4) == 0);
    CHECK(reads(alone, "last words") && read(alone, packet, 1) == -1 && errno == EIO);
    CHECK(read(locked, packet, 1) == -1 && errno == EAGAIN && unlockpt(locked) == 0);
    closed = slave_of(locked, 0);
    writes(closed, "first words");
    struct pollfd answer = {.fd = locked, .events = POLLIN};
    CHECK(poll(&answer, 1, -1) == 1 && reads(locked, "first words"));
    /* When the program closes the last one, the other side is told. */
    CHECK(close(lines_slave) == 0 && close(again) == 0 && read(lines, packet, 1) == -1 && errno == EIO);
    return SURVIVED;
}
