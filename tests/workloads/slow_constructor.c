/* A library whose constructor says that it is ready and waits for the release. */
//# cflags: -shared -fPIC
#include "../programs/survive.h"

__attribute__((constructor)) static void take_long(void) { ready_and_wait(); }
