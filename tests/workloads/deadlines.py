# Waits for times of the monotonic clock until the release: no wait ends before its time or long after it, and the clock
# does not jump.
import os
import queue
import threading
import time

LATE = 100
stop = threading.Event()
last_of_all = threading.Event()
failures = []


def check(name, end):
    now = time.monotonic()
    if not end <= now + 1e-6 or now > end + LATE:
        failures.append(f"{name}: back {now - end} s after its time")


def wait(name, function, duration):
    while not stop.is_set() and not failures:
        end = time.monotonic() + duration
        function(duration)
        check(name, end)


def get(duration):
    try:
        queue.Queue().get(timeout=duration)
    except queue.Empty:
        pass


def join(duration):
    endless.join(duration)


endless = threading.Thread(target=last_of_all.wait)
endless.start()
threads = [
    threading.Thread(target=wait, args=(name, function, duration))
    for name, function in [
        ("Event.wait", lambda duration: threading.Event().wait(duration)),
        ("Condition.wait", lambda duration: get(duration)),
        ("Lock.acquire", lambda duration: held.acquire(timeout=duration)),
        ("Thread.join", join),
        ("sleep", time.sleep),
    ]
    for duration in (0.2, 3)
]
held = threading.Lock()
held.acquire()
for thread in threads:
    thread.start()
os.mkdir("ready")
last = time.monotonic()
while not os.path.exists("release") and not failures:
    if os.path.exists("ping"):
        os.rmdir("ping")
    time.sleep(0.001)
    now = time.monotonic()
    if not 0 <= now - last <= LATE:
        failures.append(f"the clock jumps by {now - last} s")
    last = now
stop.set()
for thread in threads:
    thread.join()
last_of_all.set()
print("\n".join(failures) or "ok")
raise SystemExit(1 if failures else 42)
