# SPDX-License-Identifier: BSD-3-Clause
# pool.py WORKERS ITEMS CHUNKSIZE (0: Python's own choice) - nanoseconds per item of Pool.map over squares, warm.
import multiprocessing
import sys
import time


def square(x):
    return x * x


if __name__ == "__main__":
    workers, items, chunksize = map(int, sys.argv[1:])
    with multiprocessing.Pool(workers) as pool:
        inputs = range(items)
        pool.map(square, inputs[:1000], chunksize or None)
        begin = time.monotonic_ns()
        results = pool.map(square, inputs, chunksize or None)
        end = time.monotonic_ns()
    assert results[items // 2] == (items // 2) ** 2
    print((end - begin) / items)
