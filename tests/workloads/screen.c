/* Draws its screen as some editors do: the handler of SIGWINCH notes the size, and before it waits for input, the program draws anew if
   that has changed. Ends at the first key. */
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>

static volatile sig_atomic_t rows;

static void look(int signal) {
    struct winsize size;
    (void)signal;
    if (ioctl(1, TIOCGWINSZ, &size) == 0) rows = size.ws_row;
}

int main(void) {
    struct sigaction action = {.sa_handler = look, .sa_flags = SA_RESTART};
    int drawn = 0;
    fd_set input;
    sigaction(SIGWINCH, &action, NULL);
    look(SIGWINCH);
    do {
        if (rows != drawn) {
            drawn = rows;
            printf("\033[H\033[J%d rows were drawn\n", drawn);
            fflush(stdout);
        }
        FD_ZERO(&input);
        FD_SET(0, &input);
    } while (pselect(1, &input, NULL, NULL, NULL, NULL) != 1);
    return 0;
}
