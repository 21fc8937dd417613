/* A program that has functions of libc's for itself, which do not work before its own constructor has run, as those of sanitizers. */
//# cflags: -rdynamic
#include "survive.h"
#include <dlfcn.h>
#include <pthread.h>

static int (*libcs)(pthread_cond_t *, const pthread_condattr_t *);

__attribute__((constructor)) static void find(void) {
    *(void **)&libcs = dlvsym(RTLD_NEXT, "pthread_cond_init", "GLIBC_2.3.2");
    CHECK(libcs != NULL);
}

int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes) { return libcs(condition, attributes); }

int main(void) {
    pthread_cond_t condition;
    ready_and_wait();
    CHECK(pthread_cond_init(&condition, NULL) == 0 && pthread_cond_destroy(&condition) == 0);
    return SURVIVED;
}
