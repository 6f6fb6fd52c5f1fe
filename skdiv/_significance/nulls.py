"""Observed rows, the hypothesis that they have one distribution, and tables that are drawn under it.

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
from skdiv._significance.heights import FEW_ROWS, Tables
from skdiv._utils.typing import FloatArray


class Null(Protocol):
    """The interface of a hypothesis about some rows."""

    @property
    def size(self) -> int:
        """Return how many numbers are held in memory for each table that is drawn."""

    def drawn(self, n: int, rng: np.random.Generator) -> Tables:
        """Return n tables that under the hypothesis are as likely as the observed one."""


@dataclass(frozen=True)
class ExchangedObservations:
    """The hypothesis by which any observation might as well be in any of the rows.

    The tables that are drawn have these totals of rows and of bins, and given the totals they are drawn by their exact
    probabilities, whatever the common distribution. ``masses`` are those of the rows, or None if all are equal.
    ``sparse`` says that the observed rows are in CSR, as tables of many rows then are too.
    """

    row_totals: NDArray[np.int64]
    bin_totals: NDArray[np.int64]
    masses: FloatArray | None
    sparse: bool

    @property
    def size(self) -> int:
        """Return the number of entries of a table."""
        return len(self.row_totals) * len(self.bin_totals)

    def drawn(self, n: int, rng: np.random.Generator) -> Tables:
        """Return n tables with the totals of the one observed."""
        n_rows, n_bins = len(self.row_totals), len(self.bin_totals)
        tables = random_table(self.row_totals, self.bin_totals)
        method = "boyett" if n_bins == 1 else None  # SciPy's other method fails on a single column
        rows = tables.rvs(size=n, method=method, random_state=rng).reshape(-1, n_bins).astype(np.float64)
        masses = None if self.masses is None else np.tile(self.masses, (n, 1))
        return Tables(sp.csr_array(rows) if self.sparse and n_rows > FEW_ROWS else rows, masses, n_rows)


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
    def size(self) -> int:
        """Return the number of entries of a table, and of blocks, which are put into an order."""
        n_blocks, n_bins = self.blocks.values.shape
        return int(len(self.blocks) * n_bins + n_blocks)

    def drawn(self, n: int, rng: np.random.Generator) -> Tables:
        """Return n tables of the blocks in a random order."""
        order = np.tile(np.arange(self.blocks.values.shape[0]), (n, 1))
        return self.arranged(rng.permuted(order, axis=1))

    def arranged(self, orders: NDArray[np.intp]) -> Tables:
        """Return the tables that some orders of the blocks give, as a stack."""
        rows = self.blocks.arranged(orders)
        masses, shape = None, (len(orders), len(self.blocks))
        if self.by_totals:
            masses = np.asarray(rows.sum(axis=1)).reshape(shape)
        elif self.masses is not None:
            masses = np.tile(self.masses, (len(orders), 1))
        return Tables(rows, masses, len(self.blocks))


# --- Observed rows ---


class Rows(Protocol):
    """The interface of observed rows, which can be taken for any of them to be tested."""

    def some(self, places: NDArray[np.intp]) -> Rows:
        """Return some of the rows."""

    def observed(self) -> Tables:
        """Return the rows as a table, in a stack of one."""

    def null(self) -> Null:
        """Return the hypothesis that all rows have one distribution."""

    def least_pvalue(self) -> float:
        """Return what no p-value of the hypothesis can be below, whatever the rows hold."""


@dataclass(frozen=True)
class CountedRows:
    """Rows of counts of observations, each of which is one draw; ``counts`` is an array or a CSR matrix."""

    counts: Any
    masses: FloatArray | None
    with_empty_bins: bool

    def some(self, places: NDArray[np.intp]) -> CountedRows:
        """Return some of the rows."""
        masses = None if self.masses is None else self.masses[places]
        return CountedRows(self.counts[places], masses, self.with_empty_bins)

    def observed(self) -> Tables:
        """Return the rows as a table, in a stack of one."""
        rows = self.counts if self.with_empty_bins else self.counts[:, self._bin_totals() > 0]
        return Tables(rows, None if self.masses is None else self.masses[np.newaxis], rows.shape[0])

    def null(self) -> ExchangedObservations:
        """Return the hypothesis that any observation might as well be in any of the rows."""
        row_totals, bin_totals = np.asarray(self.counts.sum(axis=1)).astype(np.int64), self._bin_totals()
        if not self.with_empty_bins:
            bin_totals = bin_totals[bin_totals > 0]
        return ExchangedObservations(row_totals, bin_totals, self.masses, sp.issparse(self.counts))

    def _bin_totals(self) -> NDArray[np.int64]:
        """Return the total of each bin."""
        return np.asarray(self.counts.sum(axis=0)).astype(np.int64)

    def least_pvalue(self) -> float:
        """Return 0: how many tables there are depends on what the rows hold."""
        return 0.0


@dataclass(frozen=True)
class RowsOfBlocks:
    """Rows that are sums of blocks; ``masses`` and ``by_totals`` are what they are for `ExchangedBlocks`."""

    blocks: Blocks
    masses: FloatArray | None
    by_totals: bool
    with_empty_bins: bool

    def some(self, places: NDArray[np.intp]) -> RowsOfBlocks:
        """Return some of the rows."""
        masses = None if self.masses is None else self.masses[places]
        return RowsOfBlocks(self.blocks.of(places), masses, self.by_totals, self.with_empty_bins)

    def observed(self) -> Tables:
        """Return the rows as a table, in a stack of one."""
        return self.null().arranged(np.arange(self.blocks.sizes.sum())[np.newaxis])

    def null(self) -> ExchangedBlocks:
        """Return the hypothesis that any block might as well be in any of the rows."""
        blocks = self.blocks if self.with_empty_bins else self.blocks.in_bins_with_mass()
        return ExchangedBlocks(blocks, self.masses, self.by_totals)

    def least_pvalue(self) -> float:
        """Return the share of the orders of the blocks that give these rows, or the same in another order."""
        return self.blocks.share_of_one_arrangement(rows_alike=self.masses is None or self.by_totals)
