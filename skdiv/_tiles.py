"""How a matrix is cut into tiles, how the tiles are run, and how they are put together.

A tile is a pure function of two blocks of rows. Its block is put in place by a thread of the process that asked for it,
never by another process, whose write into a shared array would be lost: so the same code runs on threads, processes and
clusters. The cut depends on shapes and dtype alone, so the result is the same to the bit for any number of workers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count, islice
from numbers import Integral
from typing import Any, NamedTuple, TypeVar

from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from skdiv._blas import blas_threads, one_blas_thread
from skdiv._distributions import Distributions
from skdiv._terms import FloatArray

# kernel(P, Q, same) -> block
Kernel = Callable[[Distributions, Distributions, bool], FloatArray]

Key = TypeVar("Key")
Call = tuple[Key, tuple[Any, ...]]
Store = Callable[[Key, FloatArray], None]

_IN_FLIGHT = 64 * 2**20  # bytes of results that wait to be put in place
_LARGEST_BATCH = 1024
_WORTH_WORKERS = 25e6  # nanoseconds of work; joblib takes some ten milliseconds to start workers and to see them end


class Tile(NamedTuple):
    """Rows and columns of a matrix; ``same`` on the diagonal of a self-matrix."""

    rows: slice
    columns: slice
    same: bool


def square_tiles(n: int, size: int, *, upper: bool) -> Iterator[Tile]:
    """Tiles of the n × n matrix of rows with themselves; ``upper`` leaves out those below the diagonal."""
    for i in range(0, n, size):
        for j in range(i if upper else 0, n, size):
            yield Tile(slice(i, min(i + size, n)), slice(j, min(j + size, n)), i == j)


def rectangular_tiles(shape: tuple[int, int], size: tuple[int, int]) -> Iterator[Tile]:
    """Tiles, of ``size`` rows and columns, of a matrix of the given shape."""
    for i in range(0, shape[0], size[0]):
        for j in range(0, shape[1], size[1]):
            yield Tile(slice(i, min(i + size[0], shape[0])), slice(j, min(j + size[1], shape[1])), False)


def run_tiles(
    kernel: Kernel, P: Distributions, Q: Distributions, tiles: Iterable[Tile], size: tuple[int, int],
    store: Store[Tile], *, n_jobs: int | None, nanoseconds: float, blas_bound: bool,
) -> None:  # fmt: skip
    """Compute each tile, of at most ``size`` rows and columns, and store its block; the rest as in `run`."""

    def arguments(tile: Tile) -> tuple[Any, ...]:
        left = P[tile.rows]
        return kernel, left, left if tile.same else Q[tile.columns], tile.same

    calls = ((tile, arguments(tile)) for tile in tiles)
    result_bytes = size[0] * size[1] * P.dtype.itemsize
    run(_one_tile, calls, store, result_bytes, n_jobs=n_jobs, nanoseconds=nanoseconds, blas_bound=blas_bound)


def _one_tile(kernel: Kernel, P: Distributions, Q: Distributions, same: bool) -> FloatArray:
    with one_blas_thread():
        return kernel(P, Q, same)


def run(
    function: Callable[..., FloatArray], calls: Iterator[Call[Key]], store: Store[Key], result_bytes: int, *,
    n_jobs: int | None, nanoseconds: float, blas_bound: bool = False,
) -> None:  # fmt: skip
    """``store(key, function(*arguments))`` for each ``key, arguments`` of ``calls``; the keys' places do not overlap.

    ``nanoseconds``: how long it takes, roughly, for little is not worth workers. ``blas_bound``: the calls are matrix
    products, which BLAS would spread over its threads; without workers they are spread over as many threads here.
    Batches bound what waits to be stored.
    """
    if n_jobs is not None and not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs = {n_jobs!r} must be an integer or None.")
    size = min(_LARGEST_BATCH, max(1, _IN_FLIGHT // result_bytes))
    batch = list(islice(calls, size))
    workers = min(effective_n_jobs(n_jobs), len(batch))
    if nanoseconds < _WORTH_WORKERS:
        workers = 1
    threads = min(blas_threads(), len(batch)) if blas_bound else 1
    with one_blas_thread(), ExitStack() as stack:
        if workers > 1:
            parallel = stack.enter_context(Parallel(n_jobs=workers, prefer="threads"))
            place = stack.enter_context(_reachable(store))
        elif threads > 1:
            pool = stack.enter_context(ThreadPoolExecutor(threads))
        while batch:
            if workers > 1:
                blocks = parallel(delayed(_stored_or_returned)(place, function, *call) for call in batch)
                for (key, _), block in zip(batch, blocks, strict=True):
                    if block is not None:
                        store(key, block)
            elif threads > 1:
                for _ in pool.map(lambda call: store(call[0], function(*call[1])), batch):
                    pass
            else:
                for key, arguments in batch:
                    store(key, function(*arguments))
            batch = list(islice(calls, size))


_stores: dict[tuple[int, int], Store[Any]] = {}
_tickets = count()


@contextmanager
def _reachable(store: Store[Any]) -> Iterator[tuple[int, int]]:
    """A place, good in this process alone, under which its threads find ``store``; a forked one has another id."""
    place = os.getpid(), next(_tickets)
    _stores[place] = store
    try:
        yield place
    finally:
        del _stores[place]


def _stored_or_returned(
    place: tuple[int, int], function: Callable[..., FloatArray], key: Any, arguments: tuple[Any, ...]
) -> FloatArray | None:
    """A thread of the caller's process stores its block, so that none waits; any other worker returns it."""
    block = function(*arguments)
    if place[0] != os.getpid():
        return block
    _stores[place](key, block)
    return None


def into_matrix(out: FloatArray, *, mirror: bool) -> Store[Tile]:
    """Put blocks in their place in a matrix; ``mirror`` writes each also below the diagonal."""

    def store(tile: Tile, values: FloatArray) -> None:
        out[tile.rows, tile.columns] = values
        if mirror and not tile.same:
            out[tile.columns, tile.rows] = values.T

    return store


def into_condensed(out: FloatArray, n: int) -> Store[Tile]:
    """Put blocks of the upper triangle into a vector in the order of SciPy's ``pdist``."""

    def store(tile: Tile, values: FloatArray) -> None:
        for i, row in enumerate(values, start=tile.rows.start):
            skipped = max(0, i + 1 - tile.columns.start)  # on and below the diagonal
            start = n * i - i * (i + 1) // 2 + tile.columns.start + skipped - i - 1
            out[start : start + len(row) - skipped] = row[skipped:]

    return store
