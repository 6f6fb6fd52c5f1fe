"""Linkage by information, or agglomerative information bottleneck: the merge that loses the least comes first.

What a merge costs is a function of the sums of rows of two clusters (see `skdiv._compute.blocks.weighted`), so no
matrix of distances is held. A merge may cost less than the one before it, so the algorithm of a chain of nearest
neighbours would be wrong. This is the generic algorithm with a list of nearest neighbours: D. Müllner, "Modern
hierarchical, agglomerative clustering algorithms", arXiv:1109.2378 (2011).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._compute.blocks.termwise import few_rows
from skdiv._compute.blocks.weighted import (
    WeightedRows,
    doubtful_below,
    fast_costs,
    inaccurate_below,
    merge_costs,
    pair_costs,
)
from skdiv._compute.kernels import KernelName, MergingRows, PairKernel, load
from skdiv._compute.kernels.merging import SparseMergingRows
from skdiv._compute.run import Work, run
from skdiv._compute.tiles import Tile, number_of_tiles, tiles_of
from skdiv._input.distributions import Distributions, of_used_bins
from skdiv._trees.linkage import tree_of_merges
from skdiv._utils.progress import stage
from skdiv._utils.typing import FloatArray, Places

_TILE = 496  # the number of rows and of columns of a tile
_CROWDED = 4  # an entry of sparse rows takes as long as this number of entries of dense rows


def information_tree(rows: Distributions, masses: FloatArray, kernel: KernelName, *, n_jobs: int | None) -> FloatArray:
    """Return the tree of rows of given masses as SciPy's Z; a distance is the information lost in a merge, in nats."""
    weighted = _weighted(of_used_bins(rows)[0], masses)
    nearest, costs = _nearest_later(weighted, kernel, n_jobs)
    sums = weighted.sums
    merging = SparseMergingRows(sums.values, load(kernel)) if sums.is_sparse else load(kernel).merging(sums.dense())
    clusters = _Agglomeration(merging, masses.astype(np.float64), nearest, costs, load(kernel))
    merges = []
    with stage("tree", len(masses) - 1) as advance:
        for _ in range(len(masses) - 1):
            merges.append(clusters.merge())
            advance(1)
    return tree_of_merges(np.array([pair for *pair, _ in merges]), np.array([cost for *_, cost in merges]))


def information_curve(distances: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the numbers of clusters, 1 to n, and the share of the information that so many clusters retain.

    ``distances`` is what each merge loses, from the first to the last; all of them together lose all information.
    """
    n_clusters = np.arange(1, len(distances) + 2)
    kept = np.append(0, np.cumsum(distances[::-1]))
    retained = kept / kept[-1] if kept[-1] > 0 else np.ones(len(kept))  # Equal rows have nothing to lose.
    return n_clusters, retained


def _weighted(rows: Distributions, masses: FloatArray) -> WeightedRows:
    """Return each row times its mass, as a cluster of one; rows that are not very sparse are made dense."""
    if rows.is_sparse and _CROWDED * rows.values.nnz < rows.shape[0] * rows.shape[1]:
        data = rows.values.data * np.repeat(masses, np.diff(rows.values.indptr))
        sums = sp.csr_array((data, rows.values.indices, rows.values.indptr), shape=rows.shape)
        return WeightedRows(Distributions(sums), masses)
    return WeightedRows(Distributions(rows.dense() * masses[:, np.newaxis]), masses)


# --- For each row the cheapest later row, from tiles ---


def _nearest_later(rows: WeightedRows, kernel: KernelName, n_jobs: int | None) -> tuple[NDArray[np.intp], FloatArray]:
    """Find for each cluster (a single row at first) the later one, of higher index, that is cheapest to merge with.

    Return the indices and the costs. Of equal costs the lowest index wins. The last cluster has no later one: its cost
    is infinite, and its index means nothing.
    """
    n, n_bins = rows.sums.shape

    def calls() -> Iterator[tuple[Tile, tuple[object, ...]]]:
        """Yield each tile with the arguments of `_nearest_of_tile`."""
        for tile in tiles_of((n, n), (_TILE, _TILE), of_itself=True, upper=True):
            yield tile, (rows[tile.rows], rows[tile.columns], kernel, tile.diagonal is not None)

    nearest = _IntoNearest(np.zeros(n, dtype=np.intp), np.full(n, np.inf))
    # A result holds two float64 for each row of a tile; a pair of rows takes roughly a nanosecond for each bin.
    n_tiles = number_of_tiles((n, n), (_TILE, _TILE), upper=True)
    work = Work(16 * _TILE, lambda: n * n / 2 * n_bins, n_calls=n_tiles)
    run(_nearest_of_tile, calls(), nearest, work, n_jobs=n_jobs)
    return nearest.places, nearest.costs


def _nearest_of_tile(P: WeightedRows, Q: WeightedRows, kernel: KernelName, upper: bool) -> FloatArray:
    """Return the lowest cost in each row of a tile, and below it its column; with ``upper`` of columns j > i alone."""
    costs = pair_costs(P, Q, kernel, upper=upper, below=doubtful_below)
    places = costs.argmin(axis=1)
    return np.stack([costs[np.arange(len(P)), places], places])


@dataclass(frozen=True)
class _IntoNearest:
    """A store that keeps for each row the lowest cost of all tiles so far, and the first column that has it.

    Threads may store tiles of the same rows at once, and in any order.
    """

    places: NDArray[np.intp]
    costs: FloatArray
    _lock: AbstractContextManager[Any] = field(default_factory=Lock, init=False)

    def target(self, tile: Tile) -> None:  # noqa: ARG002
        """Return None: a result is compared with what is known before it is kept."""
        return

    def __call__(self, tile: Tile, values: FloatArray) -> None:
        """Keep the costs of a tile that are lower than those known, or as low and in an earlier column."""
        costs, places = values[0], values[1].astype(np.intp) + tile.columns.start
        with self._lock:
            known, their_places = self.costs[tile.rows], self.places[tile.rows]
            better = (costs < known) | ((costs == known) & np.isfinite(costs) & (places < their_places))
            known[better], their_places[better] = costs[better], places[better]


# --- Merge after merge ---


class _Agglomeration:
    """Clusters, one for each row at first, of which the two that are cheapest to merge are merged again and again.

    For each cluster ``nearest`` is the later cluster that is cheapest to merge with, and ``costs`` the cost. A merged
    cluster takes the position of the later of the two. For a cluster whose nearest one is thereby gone, ``current`` is
    False and the cost is a lower bound; it is computed again when it is the lowest of all.
    """

    def __init__(
        self, rows: MergingRows, masses: FloatArray, nearest: NDArray[np.intp], costs: FloatArray, kernel: PairKernel
    ) -> None:
        self.kernel = kernel
        self.rows, self.masses, self.nearest, self.costs = rows, masses, nearest, costs
        self.members = np.arange(len(masses))  # one row of each cluster
        self.sizes = np.ones(len(masses))  # the number of rows of each cluster
        self.alive, self.current = np.ones((2, len(masses)), dtype=bool)  # alive: not merged into another one yet

    def merge(self) -> tuple[int, int, float]:
        """Do the next merge, and return one row of each of the two clusters, and the cost."""
        i = int(self.costs.argmin())
        while not self.current[i]:
            self._search(i, self._costs(i, i + 1))
            i = int(self.costs.argmin())
        j = int(self.nearest[i])
        merge = int(self.members[i]), int(self.members[j]), self._accurate_cost(i, j)
        self.rows.merge(i, j)
        self.masses[j] += self.masses[i]
        self.sizes[j] += self.sizes[i]
        self.alive[i], self.costs[i] = False, np.inf
        costs = self._costs(j, 0)
        before, earlier = slice(j), costs[:j]
        changed = (self.nearest[before] == i) | (self.nearest[before] == j)
        self.current[before] &= ~changed
        closer = np.flatnonzero((earlier < self.costs[before]) | (changed & (earlier == self.costs[before])))
        closer = closer[self.alive[closer]]
        self.nearest[closer], self.costs[closer], self.current[closer] = j, earlier[closer], True
        self._search(j, costs[j + 1 :])
        if 2 * np.count_nonzero(self.alive) < len(self.rows):
            self._compact()
        return merge

    def _costs(self, i: int, start: int) -> FloatArray:
        """Return the costs of merging cluster i with each from ``start`` on; infinite for itself and where none is."""
        v, w = self.masses[i], self.masses[start:]
        costs = fast_costs(v, w, self.rows.overlaps(i, start))
        costs[~self.alive[start:]] = np.inf
        if i >= start:
            costs[i - start] = np.inf
        doubtful = np.flatnonzero(costs < doubtful_below(v + w, self.rows.n_bins))
        for few in few_rows(len(doubtful), self.rows.n_bins):
            some = doubtful[few]
            costs[some] = self._accurate_costs(i, start + some)
        return costs

    def _accurate_costs(self, i: int, others: Places) -> FloatArray:
        """Return the costs of merging cluster i with some others, from their terms."""
        P, Q = (
            WeightedRows(Distributions(self.rows.some(places)), self.masses[places])
            for places in (np.array([i]), others.astype(np.intp))
        )
        first, each = np.zeros(len(others), dtype=np.intp), np.arange(len(others))
        return merge_costs(P, Q, first, each, self.kernel, self.sizes[i] + self.sizes[others])

    def _accurate_cost(self, i: int, j: int) -> float:
        """Return the cost of merging cluster i with j, its nearest: the known one, unless rounding shows in it."""
        if self.costs[i] > inaccurate_below(self.masses[i] + self.masses[j], self.rows.n_bins):
            return float(self.costs[i])
        return float(self._accurate_costs(i, np.array([j]))[0])

    def _search(self, i: int, to_later: FloatArray) -> None:
        """Find the nearest later cluster of cluster i, from the costs of merging with each; the last one has none."""
        self.current[i] = True
        if not len(to_later):
            self.costs[i] = np.inf
            return
        k = int(to_later.argmin())
        self.nearest[i], self.costs[i] = i + 1 + k, to_later[k]

    def _compact(self) -> None:
        """Drop the positions that hold no cluster; done in time, they are never more than half of all."""
        kept = np.flatnonzero(self.alive)
        place = np.cumsum(self.alive) - 1
        self.rows.keep(kept)
        self.nearest = place[self.nearest[kept]]
        self.masses, self.costs, self.current = self.masses[kept], self.costs[kept], self.current[kept]
        self.members, self.sizes, self.alive = self.members[kept], self.sizes[kept], self.alive[kept]
