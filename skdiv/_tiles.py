"""How a matrix is cut into tiles, how the tiles are run, and how they are put together.

A tile is a pure function of two blocks of rows and returns its block, which the parent puts in place. So the same code
runs on threads, processes and clusters, where a write into a shared array would be lost. The cut depends on shapes and
dtype alone, so the result is the same to the bit for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
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
    store: Store[Tile], *, n_jobs: int | None, blas_bound: bool,
) -> None:  # fmt: skip
    """Compute each tile, of at most ``size`` rows and columns, and store its block; ``blas_bound`` as in `run`."""

    def arguments(tile: Tile) -> tuple[Any, ...]:
        left = P[tile.rows]
        return kernel, left, left if tile.same else Q[tile.columns], tile.same

    calls = ((tile, arguments(tile)) for tile in tiles)
    run(_one_tile, calls, store, size[0] * size[1] * P.dtype.itemsize, n_jobs=n_jobs, blas_bound=blas_bound)


def _one_tile(kernel: Kernel, P: Distributions, Q: Distributions, same: bool) -> FloatArray:
    with one_blas_thread():
        return kernel(P, Q, same)


def run(
    function: Callable[..., FloatArray], calls: Iterator[Call[Key]], store: Store[Key], result_bytes: int, *,
    n_jobs: int | None, blas_bound: bool = False,
) -> None:  # fmt: skip
    """``store(key, function(*arguments))`` for each ``key, arguments`` of ``calls``; the keys' places do not overlap.

    ``blas_bound``: the calls are matrix products, which BLAS would spread over its threads; with one worker they are
    spread over as many threads here. Batches, not a generator from joblib, bound what waits: not every backend has one.
    """
    if n_jobs is not None and not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs = {n_jobs!r} must be an integer or None.")
    size = min(_LARGEST_BATCH, max(1, _IN_FLIGHT // result_bytes))
    batch = list(islice(calls, size))
    workers = min(effective_n_jobs(n_jobs), len(batch))
    threads = min(blas_threads(), len(batch)) if blas_bound else 1
    with one_blas_thread(), ExitStack() as stack:
        if workers > 1:
            parallel = stack.enter_context(Parallel(n_jobs=workers, prefer="threads"))
        elif threads > 1:
            pool = stack.enter_context(ThreadPoolExecutor(threads))
        while batch:
            if workers > 1:
                results = parallel(delayed(function)(*arguments) for _, arguments in batch)
                for (key, _), result in zip(batch, results, strict=True):
                    store(key, result)
            elif threads > 1:
                for _ in pool.map(lambda call: store(call[0], function(*call[1])), batch):
                    pass
            else:
                for key, arguments in batch:
                    store(key, function(*arguments))
            batch = list(islice(calls, size))


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
        for offset, i in enumerate(range(tile.rows.start, tile.rows.stop)):
            first = max(tile.columns.start, i + 1)
            start = n * i - i * (i + 1) // 2 + first - i - 1
            row = values[offset, first - tile.columns.start :]
            out[start : start + len(row)] = row

    return store
