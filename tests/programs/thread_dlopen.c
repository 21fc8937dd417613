/* Threads that load and unload libraries and look up symbols all the time. */
//# cflags: -pthread
//# memory: changes
#include "thread.h"
#include <dlfcn.h>

enum { LOOKUPS = 300 };

static int rounds[2], stop;

static void look_up(void *library) {
    for (int i = 0; i < LOOKUPS; i++) {
        double (*cosine)(double) = (double (*)(double))dlsym(library, "cos");
        CHECK(cosine && cosine(0) == 1 && !dlsym(library, "nothing_has_this_name"));
    }
}

static void *load_and_unload(void *math) {
    while (!is_set(&stop)) {
        void *library = dlopen("libresolv.so.2", RTLD_LAZY);
        CHECK(library && dlsym(library, "ns_get16"));
        look_up(math);
        CHECK(dlclose(library) == 0);
        look_up(math);
        count_up(&rounds[0]);
    }
    return NULL;
}

static void *open_what_is_open(void *math) {
    while (!is_set(&stop)) {
        CHECK(dlopen("libm.so.6", RTLD_NOW) == math);
        look_up(math);
        CHECK(dlclose(math) == 0);
        count_up(&rounds[1]);
    }
    return NULL;
}

int main(void) {
    struct thread threads[2];
    void *math = dlopen("libm.so.6", RTLD_NOW);
    CHECK(math);
    start(&threads[0], load_and_unload, math);
    start(&threads[1], open_what_is_open, math);
    for (int i = 0; i < 2; i++) wait_until_counted(&rounds[i], 10);
    ready_and_wait();
    set(&stop);
    for (int i = 0; i < 2; i++) finish(&threads[i]);
    look_up(math);
    return SURVIVED;
}
