"""Cut a matrix into tiles, compute the block of values of each, and put the blocks together.

A block is a pure function of two blocks of rows. How the matrix is cut depends on the shapes and the dtype alone, so
the result is the same to the bit for any number of workers.
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

# kernel(P, Q, diagonal, out) returns a block, made in ``out`` if that is not None and can be used
Kernel = Callable[[Distributions, Distributions, int | None, FloatArray | None], FloatArray]


class Tile(NamedTuple):
    """Some rows and columns of a matrix.

    ``diagonal`` is not None if the matrix is that of a collection with itself and the tile meets its diagonal: row i
    and column i + diagonal of the tile then belong to the same distribution.
    """

    rows: slice
    columns: slice
    diagonal: int | None = None


def tiles_of(shape: tuple[int, int], size: tuple[int, int], *, of_itself: bool, upper: bool = False) -> Iterator[Tile]:
    """Yield the tiles of a matrix, each of ``size`` rows and columns, or less at the edges.

    ``of_itself`` says that the matrix is that of a collection with itself. With ``upper`` the tiles below the diagonal
    are left out; the size must then be square.
    """
    for j in range(0, shape[1], size[1]):
        for i in range(0, j + 1 if upper else shape[0], size[0]):
            rows, columns = slice(i, min(i + size[0], shape[0])), slice(j, min(j + size[1], shape[1]))
            on_diagonal = of_itself and i < columns.stop and j < rows.stop
            yield Tile(rows, columns, i - j if on_diagonal else None)


def number_of_tiles(shape: tuple[int, int], size: tuple[int, int], *, upper: bool) -> int:
    """Return the number of the tiles that `tiles_of` yields."""
    n_rows, n_columns = -(-shape[0] // size[0]), -(-shape[1] // size[1])
    return n_rows * (n_rows + 1) // 2 if upper else n_rows * n_columns


def run_tiles(
    kernel: Kernel,
    P: Distributions,
    Q: Distributions,
    tiles: Iterable[Tile],
    store: Store[Tile],
    work: Work,
    *,
    n_jobs: int | None,
) -> None:
    """Compute the block of each tile, for rows of P and of Q, and store it."""
    run(_one_tile, _calls(kernel, P, Q, tiles), store, work, n_jobs=n_jobs)


def _calls(kernel: Kernel, P: Distributions, Q: Distributions, tiles: Iterable[Tile]) -> Iterator[Call[Tile]]:
    """Yield each tile with the arguments of `_one_tile`, among them the blocks of rows.

    Successive tiles with the same columns share one block of Q, and with it what it keeps (`Distributions.once`); of
    sparse rows, which keep themselves column by column, all tiles do.
    """
    kept: dict[tuple[int, int, int], Distributions] = {}

    def block(X: Distributions, rows: slice) -> Distributions:
        """Return a block of rows of X, which is the same object each time if X is sparse."""
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
    """Return the block of one tile, with BLAS limited to one thread here too: this may be another process."""
    with one_blas_thread():
        return kernel(P, Q, diagonal, out)


@dataclass(frozen=True)
class IntoMatrix:
    """A store that puts the block of each tile into a matrix; with ``mirror`` also into the half below the diagonal."""

    out: FloatArray
    mirror: bool

    def target(self, tile: Tile) -> FloatArray | None:
        """Return the part of the matrix that the tile covers, or None if its rows are not contiguous in memory.

        For another layout BLAS might compute the product in another way, with other rounding errors.
        """
        in_order = self.out.strides[1] == self.out.itemsize and self.out.strides[0] > 0
        return self.out[tile.rows, tile.columns] if in_order else None

    def __call__(self, tile: Tile, values: FloatArray) -> None:
        """Copy the block of a tile into the matrix, unless it has been made there."""
        target = self.out[tile.rows, tile.columns]
        if not np.may_share_memory(values, target):
            target[...] = values
        if self.mirror and tile.diagonal is None:
            self.out[tile.columns, tile.rows] = values.T


@dataclass(frozen=True)
class IntoCondensed:
    """A store that puts blocks of the upper triangle, for n rows, into a vector in the order of SciPy's ``pdist``."""

    out: FloatArray
    n: int
    _workspace: Workspace = field(default_factory=Workspace, init=False)

    def target(self, tile: Tile) -> FloatArray:
        """Return memory of this thread, which it uses for one tile after another: the vector holds no whole block."""
        shape = tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start
        return self._workspace.array(shape, self.out.dtype)

    def __call__(self, tile: Tile, values: FloatArray) -> None:
        """Copy the part of each row of a block that is above the diagonal into the vector."""
        for i, row in enumerate(values, start=tile.rows.start):
            skipped = max(0, i + 1 - tile.columns.start)  # entries on and below the diagonal
            start = self.n * i - i * (i + 1) // 2 + tile.columns.start + skipped - i - 1
            self.out[start : start + len(row) - skipped] = row[skipped:]
