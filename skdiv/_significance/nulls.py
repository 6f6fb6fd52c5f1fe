"""The hypothesis that some rows have one distribution: what is observed, and tables that are drawn under it.

What may be exchanged under the hypothesis is the user's to say: single observations, or the blocks of them that a row
is the sum of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.stats import random_table

from skdiv._input.blocks import Blocks
from skdiv._significance.heights import Tables
from skdiv._utils.typing import FloatArray


class Null(Protocol):
    """The interface of a hypothesis about some rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Return the number of rows and of bins of a table."""

    def observed(self) -> Tables:
        """Return the table that was observed, as a stack of one."""

    def drawn(self, n: int, rng: np.random.Generator) -> Tables:
        """Return n tables that under the hypothesis are as likely as the observed one."""


@dataclass(frozen=True)
class ExchangedObservations:
    """The hypothesis by which any observation might as well be in any of the rows.

    The tables that are drawn have the row and bin totals of ``table``, and given these totals they are drawn by their
    exact probabilities, whatever the common distribution. ``masses`` are those of the rows, or None if all are equal.
    """

    table: NDArray[np.int64]
    masses: FloatArray | None

    @property
    def shape(self) -> tuple[int, int]:
        """Return the number of rows and of bins of a table."""
        n_rows, n_bins = self.table.shape
        return n_rows, n_bins

    def observed(self) -> Tables:
        """Return the table that was observed."""
        return self._stack(self.table)

    def drawn(self, n: int, rng: np.random.Generator) -> Tables:
        """Return n tables with the totals of the one observed."""
        tables = random_table(self.table.sum(axis=1), self.table.sum(axis=0))
        method = "boyett" if self.table.shape[1] == 1 else None  # SciPy's other method fails on a single column
        return self._stack(tables.rvs(size=n, method=method, random_state=rng).reshape(-1, self.table.shape[1]))

    def _stack(self, rows: NDArray[Any]) -> Tables:
        """Return the rows of some tables as a stack of tables."""
        n_rows = len(self.table)
        masses = None if self.masses is None else np.tile(self.masses, (len(rows) // n_rows, 1))
        return Tables(rows.astype(np.float64), masses, n_rows)


@dataclass(frozen=True)
class ExchangedBlocks:
    """The hypothesis by which any block might as well belong to any of the rows, which keep their numbers of blocks.

    ``masses`` are those of the rows; None if all are equal. ``by_totals`` says that they are the totals of the rows,
    and so have to be computed again for each table.
    """

    blocks: Blocks
    masses: FloatArray | None
    by_totals: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Return the number of rows and of bins of a table."""
        return len(self.blocks), int(self.blocks.values.shape[1])

    def observed(self) -> Tables:
        """Return the table that was observed."""
        return self._stack(np.arange(self.blocks.values.shape[0])[np.newaxis])

    def drawn(self, n: int, rng: np.random.Generator) -> Tables:
        """Return n tables of the blocks in a random order."""
        order = np.tile(np.arange(self.blocks.values.shape[0]), (n, 1))
        return self._stack(rng.permuted(order, axis=1))

    def _stack(self, orders: NDArray[np.intp]) -> Tables:
        """Return the tables that some orders of the blocks give, as a stack."""
        rows = self.blocks.arranged(orders)
        masses, shape = None, (len(orders), len(self.blocks))
        if self.by_totals:
            masses = np.asarray(rows.sum(axis=1)).reshape(shape)
        elif self.masses is not None:
            masses = np.tile(self.masses, (len(orders), 1))
        return Tables(rows, masses, len(self.blocks))


def in_bins_with_mass(rows: Any) -> Any:
    """Return the columns of a dense array or CSR matrix that are not empty."""
    return rows[:, np.asarray(rows.sum(axis=0)).ravel() > 0]


def as_dense(rows: Any) -> Any:
    """Return an array or CSR matrix as an array."""
    return rows.toarray() if sp.issparse(rows) else rows
