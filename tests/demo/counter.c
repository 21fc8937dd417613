/* Counts, twice a second. Nothing in it knows of checkpoints. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
    for (int count = 1; count <= 10; count++) {
        printf("    counter (pid %d): %d\n", getpid(), count);
        fflush(stdout);
        for (int i = 0; i < 50; i++) usleep(10000);
    }
    return 0;
}
