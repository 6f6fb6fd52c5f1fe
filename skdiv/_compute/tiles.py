"""How a matrix is cut into tiles, and how their blocks are put together.

A tile is a pure function of two blocks of rows. The cut depends on shapes and dtype alone, so the result is the same to
the bit for any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from skdiv._compute.run import Call, Store, Work, run
from skdiv._input.distributions import Distributions
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.memory import Workspace
from skdiv._utils.typing import FloatArray

# kernel(P, Q, diagonal, out) -> block, in ``out`` if that is not None and the block can be made there
Kernel = Callable[[Distributions, Distributions, int | None, FloatArray | None], FloatArray]


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
    kernel: Kernel, P: Distributions, Q: Distributions, tiles: Iterable[Tile], store: Store[Tile], work: Work,
    *, n_jobs: int | None,
) -> None:  # fmt: skip
    """Compute the block of each tile and store it."""
    run(_one_tile, _calls(kernel, P, Q, tiles), store, work, n_jobs=n_jobs)


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
    kernel: Kernel, P: Distributions, Q: Distributions, diagonal: int | None, out: FloatArray | None = None
) -> FloatArray:
    with one_blas_thread():
        return kernel(P, Q, diagonal, out)


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
