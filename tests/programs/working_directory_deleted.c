/* A working directory that was deleted, with its permissions, and, where root may give it away, its owner. */
//# env: CKPT_FILE=../myckpt
#include "survive.h"

int main(void) {
    struct stat stat_;
    CHECK(mkdir("inner", 0777) == 0 && chdir("inner") == 0 && chmod(".", 0751) == 0);
    uid_t owner = geteuid() == 0 ? 12345 : geteuid();
    CHECK(chown(".", owner, -1) == 0 && rmdir("../inner") == 0);
    ready_and_wait();
    CHECK(stat(".", &stat_) == 0 && S_ISDIR(stat_.st_mode) && stat_.st_nlink == 0);
    CHECK((stat_.st_mode & 07777) == 0751 && stat_.st_uid == owner);
    CHECK(open("file", O_WRONLY | O_CREAT, 0666) == -1 && errno == ENOENT);
    CHECK(getcwd((char[PAGE]){0}, PAGE) == NULL && errno == ENOENT && chdir("..") == 0);
    CHECK(access("ready", F_OK) == 0);
    return SURVIVED;
}
