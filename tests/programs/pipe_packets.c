/* Packets in a pipe keep their borders, alone and between bytes that are no packets. */
#include "survive.h"

static void set_packets(int fd, int on) { CHECK(fcntl(fd, F_SETFL, on ? O_DIRECT : 0) == 0); }

static void expect(int fd, size_t room, const char *text) {
    char seen[8192];
    ssize_t length = (ssize_t)strlen(text);
    CHECK(read(fd, seen, room) == length && memcmp(seen, text, (size_t)length) == 0);
}

int main(void) {
    int packets[2], mixed[2], last[2];
    char page[PAGE];
    CHECK(pipe2(packets, O_DIRECT) == 0 && pipe(mixed) == 0 && pipe2(last, O_DIRECT) == 0);
    memset(page, 'p', sizeof page);
    CHECK(write(packets[1], "a", 1) == 1 && write(packets[1], "bcd", 3) == 3 && write(packets[1], "e", 1) == 1);
    CHECK(write(packets[1], page, sizeof page) == sizeof page && write(packets[1], "efgh", 4) == 4);
    /* The packet does not fit into the page of the bytes before it; otherwise the kernel would add it to them. */
    char before[PAGE - 2] = "";
    memcpy(before + sizeof before - 6, "stream", 6);
    CHECK(write(mixed[1], before, sizeof before) == sizeof before);
    CHECK(read(mixed[0], before, sizeof before - 6) == sizeof before - 6);
    set_packets(mixed[1], 1);
    CHECK(write(mixed[1], "packet", 6) == 6);
    set_packets(mixed[1], 0);
    CHECK(write(mixed[1], "more", 4) == 4 && write(mixed[1], "and more", 8) == 8);
    CHECK(write(last[1], "0123456789", 10) == 10 && close(last[1]) == 0);
    ready_and_wait();
    CHECK(fcntl(packets[1], F_GETFL) == (O_WRONLY | O_DIRECT) && fcntl(mixed[1], F_GETFL) == O_WRONLY);
    expect(packets[0], 100, "a");
    expect(packets[0], 2, "bc");
    expect(packets[0], 100, "e");
    CHECK(read(packets[0], page, sizeof page) == sizeof page && page[0] == 'p' && page[PAGE - 1] == 'p');
    CHECK(write(packets[1], "ijk", 3) == 3);
    expect(packets[0], 100, "efgh");
    expect(packets[0], 100, "ijk");
    /* A read takes the bytes before a packet along, and loses what it has no room for of the packet. */
    expect(mixed[0], 8, "streampa");
    expect(mixed[0], 100, "moreand more");
    expect(last[0], 4, "0123");
    expect(last[0], 100, "");
    return SURVIVED;
}
