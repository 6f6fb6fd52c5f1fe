"""The heights of the trees of many small tables at once, and of large ones one by one.

A table of few rows takes less time than the calls by which its tree would be built: so the distances of all tables are
computed in one call, and each merge is done in all of them at once, by the distances of Lance and Williams (1967). For
linkage by information the rows of the two clusters are added, and the costs of merging the sum are computed anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._compute.blocks import of_candidates
from skdiv._compute.blocks.weighted import WeightedRows, fast_costs, inaccurate_below, merge_costs
from skdiv._compute.kernels import KernelName, load
from skdiv._compute.measure import Measure, combined
from skdiv._input.distributions import Distributions, normalise
from skdiv._input.names import UNNAMED
from skdiv._trees.build import refuse_infinite, tree_of_rows
from skdiv._trees.linkage import condensed_position
from skdiv._utils.typing import FloatArray, Places
from skdiv._version import __version__

FEW_ROWS = 24  # tables of so many rows or fewer are put through the linkage together


@dataclass(frozen=True)
class Tables:
    """A stack of tables of the same shape.

    Parameters
    ----------
    rows : {ndarray, CSR matrix} of shape (n_tables * n_rows, n_bins)
        The rows of the first table, those of the second, and so on.
    masses : ndarray of shape (n_tables, n_rows) or None
        The masses of the rows; None if all are equal.
    n_rows : int
        The number of rows of each table.
    """

    rows: Any
    masses: FloatArray | None
    n_rows: int

    def __len__(self) -> int:
        """Return the number of tables."""
        return int(self.rows.shape[0]) // self.n_rows

    def masses_of_each(self) -> FloatArray:
        """Return a copy of the masses of the rows of each table, all of them 1 if none are given."""
        shape = len(self), self.n_rows
        return np.ones(shape) if self.masses is None else np.array(self.masses, dtype=np.float64).reshape(shape)


@dataclass(frozen=True)
class TreeHeights:
    """A function from tables to the heights of the highest merges in their trees.

    The trees are those that a fit builds with this measure, linkage and pseudocount. For linkage by information heights
    are in nats and in proportion to the masses, whatever the units of the measure.
    """

    measure: Measure
    linkage: str
    pseudocount: float

    def __call__(self, tables: Tables) -> FloatArray:
        """Return the height of each table."""
        try:
            if tables.n_rows > FEW_ROWS:
                return self._one_by_one(tables)
            rows = self._distributions(tables)
            if self.linkage == "information":
                return self._of_information(rows, tables)
            return self._of_distances(rows, tables)
        except ValueError as error:
            raise ValueError(f"Counts drawn for the test of significance: {error}") from error

    def _one_by_one(self, tables: Tables) -> FloatArray:
        """Return the heights from trees that are built as by a fit."""
        heights = np.empty(len(tables))
        for k in range(len(tables)):
            some = slice(k * tables.n_rows, (k + 1) * tables.n_rows)
            rows = normalise(tables.rows[some], pseudocount=self.pseudocount)
            masses = None if tables.masses is None else tables.masses[k]
            tree = tree_of_rows(rows, masses, self.measure, self.linkage, None, __version__, n_jobs=1)
            heights[k] = tree[-1, 2]
        return heights

    def _distributions(self, tables: Tables) -> Distributions:
        """Return the rows of all tables, dense and normalised."""
        weights = tables.rows.toarray() if sp.issparse(tables.rows) else tables.rows
        return normalise(weights, pseudocount=self.pseudocount)

    def _of_distances(self, rows: Distributions, tables: Tables) -> FloatArray:
        """Return the heights for a linkage of distances."""
        n = tables.n_rows
        i, j = _pairs(len(tables), n)
        distances = self._distances(rows, i, j)
        refuse_infinite(distances, lambda k: condensed_position(k % (n * (n - 1) // 2), n), self.measure, UNNAMED)
        square = _squares(distances, len(tables), n)
        return _agglomerated(square, _linkage_of(self.linkage, tables.masses_of_each()))

    def _distances(self, rows: Distributions, i: Places, j: Places) -> FloatArray:
        """Return the distances between rows i[k] and j[k], for each k."""
        measure, kernel = self.measure, load(self.measure.kernel)
        values = of_candidates(measure.divergence, rows, rows, i, j, kernel)
        if measure.symmetrize is not None and not measure.divergence.symmetric:
            values = combined(values, of_candidates(measure.divergence, rows, rows, j, i, kernel), measure.symmetrize)
        return measure.scaled(values)

    def _of_information(self, rows: Distributions, tables: Tables) -> FloatArray:
        """Return the heights for linkage by information."""
        masses = tables.masses_of_each()
        masses /= masses.sum(axis=1, keepdims=True)
        clusters = _Information(rows.dense() * masses.reshape(-1, 1), masses, self.measure.kernel)
        costs = clusters.costs(*_pairs(len(tables), tables.n_rows))
        return _agglomerated(_squares(costs, len(tables), tables.n_rows), clusters)


# --- All tables at once ---


def _pairs(n_tables: int, n_rows: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the first and of the second row of each pair of rows of a table, for all tables."""
    i, j = np.triu_indices(n_rows, 1)
    starts = n_rows * np.arange(n_tables)[:, np.newaxis]
    return (starts + i).ravel(), (starts + j).ravel()


def _squares(condensed: FloatArray, n_tables: int, n_rows: int) -> FloatArray:
    """Return the condensed distances of all tables as square matrices, with infinity on the diagonals."""
    square = np.full((n_tables, n_rows, n_rows), np.inf)
    i, j = np.triu_indices(n_rows, 1)
    square[:, i, j] = square[:, j, i] = condensed.reshape(n_tables, -1)
    return square


class _Linkage(Protocol):
    """The interface of a linkage of clusters, which are given by the squares of their distances in many tables."""

    def prepared(self, square: FloatArray) -> FloatArray:
        """Return the distances of single rows in the form in which they are updated."""

    def merged(self, square: FloatArray, t: Places, i: Places, j: Places) -> FloatArray:
        """Merge cluster i[k] of table t[k] into cluster j[k], for each k, and return the distances from these to all.

        Those to the two clusters themselves mean nothing; those to clusters that are gone are infinite.
        """

    def finished(self, heights: FloatArray) -> FloatArray:
        """Return heights from the form in which they are updated."""


def _agglomerated(square: FloatArray, linkage: _Linkage) -> FloatArray:
    """Return the distance of the last merge of each table; ``square`` holds their distances, and is overwritten."""
    square = linkage.prepared(square)
    n_tables, n, _ = square.shape
    t = np.arange(n_tables)
    for _ in range(n - 2):
        i, j = np.divmod(square.reshape(n_tables, -1).argmin(axis=1), n)
        new = linkage.merged(square, t, i, j)
        new[t, i] = new[t, j] = np.inf
        square[t, i] = square[t, :, i] = np.inf
        square[t, j] = square[t, :, j] = new
    return linkage.finished(square.reshape(n_tables, -1).min(axis=1))


@dataclass(frozen=True)
class _Between:
    """Single and complete linkage: the distance of the nearest, or of the farthest two rows of two clusters."""

    choice: Callable[[FloatArray, FloatArray], FloatArray]

    def prepared(self, square: FloatArray) -> FloatArray:
        """Return the distances as they are."""
        return square

    def merged(self, square: FloatArray, t: Places, i: Places, j: Places) -> FloatArray:
        """Return the lower or the higher distances."""
        return self.choice(square[t, i], square[t, j])

    def finished(self, heights: FloatArray) -> FloatArray:
        """Return the heights as they are."""
        return heights


@dataclass(frozen=True)
class _Average:
    """Average linkage of clusters with masses, of shape (n_tables, n_rows), which are overwritten."""

    masses: FloatArray

    def prepared(self, square: FloatArray) -> FloatArray:
        """Return the distances as they are."""
        return square

    def merged(self, square: FloatArray, t: Places, i: Places, j: Places) -> FloatArray:
        """Return the means of the distances, weighted by the masses."""
        of_i, of_j = self.masses[t, i, np.newaxis], self.masses[t, j, np.newaxis]
        self.masses[t, j] += self.masses[t, i]
        means: FloatArray = (of_i * square[t, i] + of_j * square[t, j]) / (of_i + of_j)
        return means

    def finished(self, heights: FloatArray) -> FloatArray:
        """Return the heights as they are."""
        return heights


@dataclass(frozen=True)
class _Ward:
    """Ward linkage of clusters with masses, which are overwritten; see `skdiv._trees.linkage` for its distances."""

    masses: FloatArray

    def prepared(self, square: FloatArray) -> FloatArray:
        """Return the squares of the distances between clusters of one row."""
        v, w = self.masses[:, :, np.newaxis], self.masses[:, np.newaxis]
        squares: FloatArray = square**2 * (2 * v * w / (v + w))
        return squares

    def merged(self, square: FloatArray, t: Places, i: Places, j: Places) -> FloatArray:
        """Return the squares of the distances from the clusters that are merged."""
        of_i, of_j, w = self.masses[t, i, np.newaxis], self.masses[t, j, np.newaxis], self.masses
        between = square[t, i, j][:, np.newaxis]
        squares = ((of_i + w) * square[t, i] + (of_j + w) * square[t, j] - w * between) / (of_i + of_j + w)
        self.masses[t, j] += self.masses[t, i]
        return squares

    def finished(self, heights: FloatArray) -> FloatArray:
        """Return the square roots."""
        roots: FloatArray = np.sqrt(np.maximum(heights, 0))
        return roots


class _Information:
    """Linkage by information of clusters that are given by the sums of their rows; all arrays are overwritten.

    ``sums``, of shape (n_tables * n_rows, n_bins), are the rows times their ``masses``, of shape (n_tables, n_rows).
    """

    def __init__(self, sums: FloatArray, masses: FloatArray, kernel: KernelName) -> None:
        self._sums, self._masses, self._kernel = sums, masses, load(kernel)
        self._sizes = np.ones(masses.size)
        self._own = self._sums_with_nothing(np.arange(masses.size))

    def _sums_with_nothing(self, places: Places) -> FloatArray:
        """Return for some clusters what `PairKernel.mixture_sums` gives for each and an empty one."""
        nothing = np.zeros((1, self._sums.shape[1]))
        return self._kernel.mixture_sums(self._sums, nothing, places, np.zeros_like(places))

    def prepared(self, square: FloatArray) -> FloatArray:
        """Return the costs as they are."""
        return square

    def costs(self, i: Places, j: Places) -> FloatArray:
        """Return the costs of merging cluster i[k] with cluster j[k], for each k, accurate however low they are."""
        masses = self._masses.ravel()
        v, w = masses[i], masses[j]
        overlaps = (self._kernel.mixture_sums(self._sums, self._sums, i, j) - self._own[i] - self._own[j]) / 2
        costs = fast_costs(v, w, overlaps)
        low = np.flatnonzero(costs < inaccurate_below(v + w, self._sums.shape[1]))
        if len(low):
            clusters = WeightedRows(Distributions(self._sums), masses)
            sizes = self._sizes[i[low]] + self._sizes[j[low]]
            costs[low] = merge_costs(clusters, clusters, i[low], j[low], self._kernel, sizes)
        return costs

    def merged(self, square: FloatArray, t: Places, i: Places, j: Places) -> FloatArray:
        """Add the rows of the clusters, and return the costs of merging the sums with the others."""
        n = self._masses.shape[1]
        gone, kept = n * t + i, n * t + j
        self._sums[kept] += self._sums[gone]
        self._masses[t, j] += self._masses[t, i]
        self._sizes[kept] += self._sizes[gone]
        self._own[kept] = self._sums_with_nothing(kept)
        new = np.full((len(t), n), np.inf)
        others = np.isfinite(square[t, j])
        others[t, i] = False
        table, other = np.nonzero(others)
        new[table, other] = self.costs(kept[table], n * t[table] + other)
        return new

    def finished(self, heights: FloatArray) -> FloatArray:
        """Return the heights as they are."""
        return heights


def _linkage_of(linkage: str, masses: FloatArray) -> _Linkage:
    """Return the linkage of distances by its name, for clusters with some masses, which it may overwrite."""
    if linkage in ("single", "complete"):
        return _Between(np.minimum if linkage == "single" else np.maximum)
    return _Average(masses) if linkage == "average" else _Ward(masses)
