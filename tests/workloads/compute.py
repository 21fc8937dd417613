"""A long computation in many small steps, with output now and then."""

import hashlib
import math
import random
from fractions import Fraction

random.seed(1)
digest = hashlib.sha256()
harmonic = Fraction(0)
seen = {}
for step in range(1, 2501):
    harmonic += Fraction(1, step)
    numbers = [random.random() for _ in range(1500)]
    seen[step] = math.fsum(math.sin(number) for number in sorted(numbers))
    digest.update(repr(seen[step]).encode())
    print(step, seen[step], digest.hexdigest(), str(harmonic.numerator)[-20:])
    if step % 100 == 0:
        print("sum", math.fsum(seen.values()), flush=True)
