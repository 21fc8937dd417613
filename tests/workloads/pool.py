"""A pool of threads that hash and compress without the interpreter's lock and compute with it, fed by a queue."""

import hashlib
import queue
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

local = threading.local()
condition = threading.Condition()
done = 0


def task(number):
    global done
    local.calls = getattr(local, "calls", 0) + 1
    data = bytearray(hashlib.shake_128(number.to_bytes(4, "big")).digest(60_000))
    for at in range(0, len(data), 3):
        data[at] &= 15
    packed = zlib.compress(data, 6)
    digest = hashlib.sha256(packed * 20).hexdigest()
    with condition:
        done += 1
        condition.notify_all()
    return len(packed), digest


def feed(numbers, results):
    for number in iter(numbers.get, None):
        if number % 16 == 0:
            time.sleep(0.002)
        results.put((number, zlib.crc32(b"%d" % number * 20_000)))


numbers, results = queue.Queue(), queue.Queue()
feeders = [threading.Thread(target=feed, args=(numbers, results)) for _ in range(2)]
for feeder in feeders:
    feeder.start()

with ThreadPoolExecutor(4) as pool:
    for step in range(12):
        for number in range(step * 20, step * 20 + 20):
            numbers.put(number)
        for size, digest in pool.map(task, range(step * 20, step * 20 + 20)):
            print(size, digest)
        with condition:
            condition.wait_for(lambda: done == step * 20 + 20)
        print("step", step, sorted(results.get() for _ in range(20))[-1], flush=True)

for _ in feeders:
    numbers.put(None)
for feeder in feeders:
    feeder.join()
print("done", done, threading.active_count())
