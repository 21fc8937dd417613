/* A socket that listens at a file that has got another name since: a restart under the old name would leave its clients alone. */
//# refused: is called final now
#include "socket.h"

int main(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(getcwd(address.sun_path, sizeof address.sun_path - 16) != NULL);
    strcat(address.sun_path, "/first");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 3) == 0);
    CHECK(rename("first", "final") == 0);
    ready_and_wait();
    struct sockaddr_un final = {.sun_family = AF_UNIX, .sun_path = "final"};
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(client, (struct sockaddr *)&final, sizeof final) == 0);
    return SURVIVED;
}
