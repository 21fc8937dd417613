"""Products of matrices on the threads of OpenBLAS. All numbers are whole and small enough to be exact, so that the order
in which the threads add them does not matter."""

import hashlib

import numpy

SIZE = 800


def reduced(matrix, modulus):
    return matrix - numpy.floor(matrix * (1 / modulus)) * modulus


state = numpy.random.Generator(numpy.random.PCG64(1))
left = state.integers(0, 1000, (SIZE, SIZE)).astype(numpy.float64)
right = state.integers(0, 1000, (SIZE, SIZE)).astype(numpy.float64)
for step in range(20):
    for _ in range(4):
        left = reduced(left @ right, 1009)
    right = reduced(right[::-1, ::-1] + step, 997)
    digest = hashlib.sha256(left.tobytes()).hexdigest()
    print(step, int(left.sum()), digest, flush=step % 4 == 0)
