/* What a program asks of libckpt: how often it was restored, and a checkpoint. */
//# ldflags: -pthread
//# env: CKPT_MODE=stop
#include "../../libckpt/ckpt.h"
#include "survive.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static void *checkpoint(void *result) {
    *(int *)result = ckpt_checkpoint();
    return NULL;
}

int main(void) {
    CHECK(ckpt_generation && ckpt_checkpoint && ckpt_generation() == 0);
    pid_t before = getpid();
    /* One thread asks, another one is restored along with it. */
    int result = -2;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, checkpoint, &result) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(result == 0 && ckpt_generation() == 0);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    CHECK(ckpt_checkpoint() == 0);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    ready_and_wait();
    /* The test restores it four times, twice in debug, or not at all. */
    const int generation = ckpt_generation();
    CHECK(getpid() == before ? generation == 0 : generation == 2 || generation == 4);
    pid_t child = fork();
    if (child == 0) _exit(ckpt_generation());
    int status;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == ckpt_generation());
    return SURVIVED;
}
