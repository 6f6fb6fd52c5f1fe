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
from dataclasses import dataclass, field
from itertools import count, islice
from numbers import Integral
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import uuid4

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skdiv._blas import blas_threads, one_blas_thread
from skdiv._distributions import Distributions
from skdiv._memory import Workspace
from skdiv._terms import FloatArray

# kernel(P, Q, diagonal, out) -> block, in ``out`` if that is not None and the block can be made there
Kernel = Callable[[Distributions, Distributions, int | None, FloatArray | None], FloatArray]

Key = TypeVar("Key")
Key_contra = TypeVar("Key_contra", contravariant=True)
Call = tuple[Key, tuple[Any, ...]]


class Store(Protocol[Key_contra]):
    """Where blocks are put."""

    def target(self, key: Key_contra, /) -> FloatArray | None:
        """Where a block can be made before it is put in its place, perhaps that place itself."""

    def __call__(self, key: Key_contra, values: FloatArray, /) -> None:
        """Put a block in its place."""


_IN_FLIGHT = 64 * 2**20  # bytes of results that wait to be put in place
_LARGEST_BATCH = 1024
_WORTH_WORKERS = 25e6  # nanoseconds of work; joblib takes some ten milliseconds to start workers and to see them end


class Tile(NamedTuple):
    """Rows and columns of a matrix; ``diagonal``: in a self-matrix the row i is the column i + diagonal of the tile."""

    rows: slice
    columns: slice
    diagonal: int | None = None


def tiles_of(shape: tuple[int, int], size: tuple[int, int], *, of_itself: bool, upper: bool = False) -> Iterator[Tile]:
    """Tiles of ``size`` rows and columns; with ``upper`` they are square and those below the diagonal left out."""
    for j in range(0, shape[1], size[1]):
        for i in range(0, j + 1 if upper else shape[0], size[0]):
            rows, columns = slice(i, min(i + size[0], shape[0])), slice(j, min(j + size[1], shape[1]))
            on_diagonal = of_itself and i < columns.stop and j < rows.stop
            yield Tile(rows, columns, i - j if on_diagonal else None)


def run_tiles(
    kernel: Kernel, P: Distributions, Q: Distributions, tiles: Iterable[Tile], size: tuple[int, int],
    store: Store[Tile], *, n_jobs: int | None, nanoseconds: Callable[[], float], blas_bound: bool,
) -> None:  # fmt: skip
    """Compute each tile, of at most ``size`` rows and columns, and store its block; the rest as in `run`."""
    calls = _calls(kernel, P, Q, tiles)
    result_bytes = size[0] * size[1] * P.dtype.itemsize
    run(_one_tile, calls, store, result_bytes, n_jobs=n_jobs, nanoseconds=nanoseconds, blas_bound=blas_bound)


def _calls(kernel: Kernel, P: Distributions, Q: Distributions, tiles: Iterable[Tile]) -> Iterator[Call[Tile]]:
    """The blocks of rows that each tile takes.

    Tiles one after another that share columns share their block, and with it what it keeps (`Distributions.once`); of
    sparse rows, which keep themselves column by column, all tiles do.
    """
    kept: dict[tuple[int, int, int], Distributions] = {}

    def block(X: Distributions, rows: slice) -> Distributions:
        return kept.setdefault((id(X), rows.start, rows.stop), X[rows]) if X.is_sparse else X[rows]

    columns, right = None, Q
    for tile in tiles:
        if tile.columns != columns:
            columns, right = tile.columns, block(Q, tile.columns)
        left = right if P is Q and tile.rows == columns else block(P, tile.rows)
        yield tile, (kernel, left, right, tile.diagonal)


def _one_tile(
    kernel: Kernel, P: Distributions, Q: Distributions, diagonal: int | None, out: FloatArray | None
) -> FloatArray:
    with one_blas_thread():
        return kernel(P, Q, diagonal, out)


def run(
    function: Callable[..., FloatArray], calls: Iterator[Call[Key]], store: Store[Key], result_bytes: int, *,
    n_jobs: int | None, nanoseconds: Callable[[], float], blas_bound: bool = False,
) -> None:  # fmt: skip
    """``store(key, function(*arguments, out))`` for each ``key, arguments`` of ``calls``; their places do not overlap.

    ``nanoseconds``: how long it takes, roughly, for little is not worth workers. ``blas_bound``: the calls are matrix
    products, which BLAS would spread over its threads; without workers they are spread over as many threads here.
    Batches bound what waits to be stored.
    """
    if n_jobs is not None and not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs = {n_jobs!r} must be an integer or None.")
    size = min(_LARGEST_BATCH, max(1, _IN_FLIGHT // result_bytes))
    batch = list(islice(calls, size))
    workers = min(effective_n_jobs(n_jobs), len(batch))
    threads = min(blas_threads(), len(batch)) if blas_bound else 1
    if workers > 1 and nanoseconds() / threads < _WORTH_WORKERS:
        workers = 1
    with one_blas_thread(), ExitStack() as stack:
        if workers > 1:
            parallel = stack.enter_context(Parallel(n_jobs=workers, prefer="threads"))
            place = stack.enter_context(_reachable(store))
        elif threads > 1:
            pool = stack.enter_context(ThreadPoolExecutor(threads))
        while batch:
            if workers > 1:
                blocks = parallel(delayed(_stored_or_returned)(place, function, call) for call in batch)
                for (key, _), block in zip(batch, blocks, strict=True):
                    if block is not None:
                        store(key, block)
            elif threads > 1:
                for _ in pool.map(lambda call: _compute(function, call, store), batch):
                    pass
            else:
                for call in batch:
                    _compute(function, call, store)
            batch = list(islice(calls, size))


def _compute(function: Callable[..., FloatArray], call: Call[Key], store: Store[Key]) -> None:
    key, arguments = call
    store(key, function(*arguments, store.target(key)))


Place = tuple[str, int, int]  # this process, were it forked its number, and a ticket

_PROCESS = uuid4().hex  # for on another machine a process may have the same number
_stores: dict[Place, Store[Any]] = {}
_tickets = count()


@contextmanager
def _reachable(store: Store[Any]) -> Iterator[Place]:
    """A place under which threads of this process, and no other, find ``store``."""
    place = _PROCESS, os.getpid(), next(_tickets)
    _stores[place] = store
    try:
        yield place
    finally:
        del _stores[place]


def _stored_or_returned(place: Place, function: Callable[..., FloatArray], call: Call[Any]) -> FloatArray | None:
    """A thread of the caller's process stores its block, so that none waits; any other worker returns it."""
    if place[:2] != (_PROCESS, os.getpid()):
        return function(*call[1], None)
    _compute(function, call, _stores[place])
    return None


@dataclass(frozen=True)
class IntoMatrix:
    """Puts blocks in their place in a matrix; ``mirror`` writes each also below the diagonal."""

    out: FloatArray
    mirror: bool

    def target(self, tile: Tile) -> FloatArray | None:
        """The place itself, of rows in the order of memory: in another BLAS would round otherwise."""
        in_order = self.out.strides[1] == self.out.itemsize and self.out.strides[0] > 0
        return self.out[tile.rows, tile.columns] if in_order else None

    def __call__(self, tile: Tile, values: FloatArray) -> None:
        target = self.out[tile.rows, tile.columns]
        if not np.may_share_memory(values, target):
            target[...] = values
        if self.mirror and tile.diagonal is None:
            self.out[tile.columns, tile.rows] = values.T


@dataclass(frozen=True)
class IntoCondensed:
    """Puts blocks of the upper triangle into a vector in the order of SciPy's ``pdist``, of ``n`` rows."""

    out: FloatArray
    n: int
    _workspace: Workspace = field(default_factory=Workspace, init=False)

    def target(self, tile: Tile) -> FloatArray:
        """Not the place itself but memory that a thread uses for one tile after another."""
        shape = tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start
        return self._workspace.array(shape, self.out.dtype)

    def __call__(self, tile: Tile, values: FloatArray) -> None:
        for i, row in enumerate(values, start=tile.rows.start):
            skipped = max(0, i + 1 - tile.columns.start)  # on and below the diagonal
            start = self.n * i - i * (i + 1) // 2 + tile.columns.start + skipped - i - 1
            self.out[start : start + len(row) - skipped] = row[skipped:]


@dataclass(frozen=True)
class IntoPlaces:
    """Puts results in their places in an array, of which each is an index."""

    out: FloatArray

    def target(self, place: Any) -> None:  # noqa: ARG002
        return None

    def __call__(self, place: Any, values: FloatArray) -> None:
        self.out[place] = values
