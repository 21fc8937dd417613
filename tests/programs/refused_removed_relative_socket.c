/* A socket with a relative name that leads to another one: the first may be in another directory, for all that the kernel tells. */
//# refused: its name name does not lead to this socket any more
#include "socket.h"

int main(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "name"};
    int one = socket(AF_UNIX, SOCK_DGRAM, 0), other = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(bind(one, (struct sockaddr *)&address, sizeof address) == 0 && unlink("name") == 0);
    CHECK(bind(other, (struct sockaddr *)&address, sizeof address) == 0);
    ready_and_wait();
    CHECK(sendto(one, "letter", 6, 0, (struct sockaddr *)&address, sizeof address) == 6);
    expect(other, "letter");
    return SURVIVED;
}
