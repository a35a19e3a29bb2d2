# SPDX-License-Identifier: BSD-3-Clause
# mpirun -n RANKS python3 -m mpi4py.futures futures.py map ITEMS CHUNKSIZE - nanoseconds per item of a map over squares.
# ... futures.py submit ITEMS - the same of single tasks, many under way; apply ITEMS - one at a time, there and back.
import sys
import time

from mpi4py.futures import MPIPoolExecutor


def square(x):
    return x * x


def run(pool, how, inputs, chunksize):
    if how == "map":
        return list(pool.map(square, inputs, chunksize=chunksize))
    if how == "submit":
        return [future.result() for future in [pool.submit(square, x) for x in inputs]]
    return [pool.submit(square, x).result() for x in inputs]


if __name__ == "__main__":
    how, items, chunksize = sys.argv[1], int(sys.argv[2]), int((sys.argv + ["1"])[3])
    with MPIPoolExecutor() as pool:
        inputs = range(items)
        run(pool, how, inputs[:100], chunksize)
        begin = time.monotonic_ns()
        results = run(pool, how, inputs, chunksize)
        end = time.monotonic_ns()
    assert results[items // 2] == (items // 2) ** 2
    print((end - begin) / items)
