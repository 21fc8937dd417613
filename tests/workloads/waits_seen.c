/* A library that stands in front of libc's functions, without versions, as those of sanitizers: it says which are called. */
//# cflags: -shared -fPIC
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until) {
    int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    *(void **)&next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (write(2, "waits\n", 6) != 6) return -1;
    return next(condition, mutex, until);
}

int pthread_mutex_lock(pthread_mutex_t *mutex) {
    int (*next)(pthread_mutex_t *);
    *(void **)&next = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    if (write(2, "locks\n", 6) != 6) return -1;
    return next(mutex);
}
