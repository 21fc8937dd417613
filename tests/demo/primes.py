"""Counts primes and says twice a second how far it is. Nothing in it knows of checkpoints."""

import os
import time

primes = []
candidate, shown, said = 2, 0, time.monotonic()
while shown < 10:
    if all(candidate % prime for prime in primes if prime * prime <= candidate):
        primes.append(candidate)
    candidate += 1
    if time.monotonic() >= said + 0.5:
        shown += 1
        said = time.monotonic()
        print(f"    python3 (pid {os.getpid()}): {len(primes)} primes, the last is {primes[-1]}", flush=True)
