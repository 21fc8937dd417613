/* Reads keys as some editors do: blocked in a read, and what follows an escape character only if it comes at once. Looks at the size of
 * its screen when it was told that it has changed. Ends at `q`. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t has_changed;

static void note(int signal) {
    (void)signal;
    has_changed = 1;
}

int main(void) {
    struct termios settings;
    struct sigaction action = {.sa_handler = note};
    tcgetattr(0, &settings);
    struct termios raw = settings;
    cfmakeraw(&raw);
    tcsetattr(0, TCSANOW, &raw);
    sigaction(SIGWINCH, &action, NULL);
    printf("keys please\r\n");
    fflush(stdout);
    for (char key = 0; key != 'q';) {
        struct winsize size;
        if (has_changed && ioctl(1, TIOCGWINSZ, &size) == 0) {
            has_changed = 0;
            printf("it has looked\r\n");
            fflush(stdout);
        }
        if (read(0, &key, 1) != 1) continue;
        struct pollfd input = {.fd = 0, .events = POLLIN};
        char rest[2] = "";
        if (key == '\033' && poll(&input, 1, 1000) == 1 && read(0, rest, sizeof rest) == sizeof rest) {
            printf("a key that sends %c%c\r\n", rest[0], rest[1]);
        } else {
            printf("a key that sends %d\r\n", key);
        }
        fflush(stdout);
    }
    tcsetattr(0, TCSANOW, &settings);
    return 0;
}
