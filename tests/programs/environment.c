/* With --env: getenv and /proc/self/environ show what the restart has added, and the rest as it was. */
//# env: CHANGED=before
//# env: KEPT=1
//# memory: changes
//# restorer: --env CHANGED=after --env NEW=a=b --env NEW=last
#include "survive.h"

static int is(const char *name, const char *value) {
    const char *found = getenv(name);
    return value ? found && strcmp(found, value) == 0 : !found;
}

/* Whether /proc shows this string, once. */
static int is_shown(const char *string) {
    static char all[1 << 16];
    int fd = open("/proc/self/environ", O_RDONLY), times = 0;
    ssize_t length = read(fd, all, sizeof all - 1);
    CHECK(fd >= 0 && length >= 0 && close(fd) == 0);
    for (char *at = all; at < all + length; at += strlen(at) + 1) times += strcmp(at, string) == 0;
    return times == 1;
}

int main(void) {
    const char *before = getenv("CHANGED");
    CHECK(setenv("SET", "here", 1) == 0 && unsetenv("LANG") == 0);
    pid_t process = getpid();
    ready_and_wait();
    if (getpid() == process) return SURVIVED;
    CHECK(is("CHANGED", "after") && is("KEPT", "1") && is("NEW", "last") && is("SET", "here") && is("LANG", NULL));
    CHECK(is_shown("CHANGED=after") && is_shown("KEPT=1") && is_shown("NEW=last") && is_shown("SET=here"));
    CHECK(!is_shown("CHANGED=before") && !is_shown("NEW=a=b") && strcmp(before, "before") == 0);
    CHECK(setenv("NEW", "again", 1) == 0 && is("NEW", "again"));
    CHECK(unsetenv("KEPT") == 0 && is("KEPT", NULL) && is("CHANGED", "after"));
    return SURVIVED;
}
