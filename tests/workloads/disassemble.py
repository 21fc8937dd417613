# Run by gdb, without a program that is debugged: reads code and lines of a program again and again.
import gdb
import zlib

gdb.execute("set pagination off")
checksum = 0
for step in range(1, 121):
    for command in ("disassemble /rs main", "info scope main", "ptype struct itimerspec"):
        checksum = zlib.crc32(gdb.execute(command, to_string=True).encode(), checksum)
    if step % 10 == 0:
        print(step, checksum, flush=True)
