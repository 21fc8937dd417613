/* Secure bits, which say that root has no capabilities by itself. */
//# needs: root
#include "survive.h"
#include <linux/securebits.h>
#include <sys/prctl.h>

int main(void) {
    int bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS_LOCKED;
    CHECK(prctl(PR_SET_SECUREBITS, bits) == 0);
    ready_and_wait();
    CHECK(prctl(PR_GET_SECUREBITS) == bits);
    return SURVIVED;
}
