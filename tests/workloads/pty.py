# Lines through a pseudo-terminal of which the program has both sides, in its usual mode and without one.
import os
import tty
import zlib

master, slave = os.openpty()
raw_master, raw_slave = os.openpty()
tty.setraw(raw_slave)
checksum = 0


def read(fd, size):
    data = b""
    while len(data) < size:
        data += os.read(fd, size - len(data))
    return data


for step in range(1, 10001):
    line = b"line %d of many\n" % step
    os.write(master, line)
    echo = read(master, len(line) + 1)
    assert echo == line.replace(b"\n", b"\r\n"), echo
    assert os.read(slave, 1000) == line
    os.write(raw_slave, echo)
    os.write(raw_master, line)
    checksum = zlib.crc32(read(raw_master, len(echo)) + read(raw_slave, len(line)), checksum)
    if step % 1000 == 0:
        print(step, checksum, flush=True)
