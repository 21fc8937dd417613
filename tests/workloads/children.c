/* Has many children until the release, and writes their ids to a file. */
#include "../programs/survive.h"
#include <signal.h>
#include <sys/wait.h>

enum { CHILDREN = 100 };

int main(void) {
    FILE *list = fopen("children", "w");
    CHECK(list != NULL);
    for (int i = 0; i < CHILDREN; i++) {
        int child = fork();
        if (child == 0)
            for (;;) pause();
        fprintf(list, "%d\n", child);
    }
    CHECK(fclose(list) == 0);
    ready_and_wait();
    CHECK(signal(SIGTERM, SIG_IGN) != SIG_ERR && kill(0, SIGTERM) == 0);
    while (wait(NULL) > 0) {}
    return SURVIVED;
}
