/* Libraries loaded before and after the checkpoint. */
#include "survive.h"
#include <dlfcn.h>

int main(void) {
    void *math = dlopen("libm.so.6", RTLD_NOW);
    CHECK(math);
    ready_and_wait();
    double (*cosine)(double) = (double (*)(double))dlsym(math, "cos");
    CHECK(cosine && cosine(0) == 1);
    void *resolver = dlopen("libresolv.so.2", RTLD_LAZY);
    CHECK(resolver && dlsym(resolver, "ns_get16"));
    CHECK(dlclose(resolver) == 0 && dlclose(math) == 0);
    return SURVIVED;
}
