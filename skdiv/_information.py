"""Agglomeration by the information that a merge loses: the agglomerative information bottleneck.

Clusters of masses v, w and sums of rows a, b (mass times mean distribution) lose, when merged into one,

    v KL(a/v ‖ c) + w KL(b/w ‖ c) = v ln((v + w)/v) + w ln((v + w)/w) − sum of g(a, b) − g(a, 0) − g(0, b),

c = (a + b)/(v + w), g(a, b) = (a + b) ln(a + b): twice the overlap that the kernels of Jensen-Shannon evaluate. It
takes the sums alone, so no matrix is held. Merges can invert, so a chain of nearest neighbours would be wrong. This is
the generic algorithm with a list of nearest neighbours: D. Müllner, "Modern hierarchical, agglomerative clustering
algorithms", arXiv:1109.2378 (2011).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._distributions import Distributions
from skdiv._kernels import KernelName, MergingRows, PairKernel, load, termwise
from skdiv._kernels.merging import SparseMergingRows
from skdiv._kernels.overlaps import pair_overlaps
from skdiv._kernels.termwise import Places
from skdiv._linkage import tree_of_merges
from skdiv._terms import FloatArray
from skdiv._tiles import IntoPlaces, run, tiles_of

_TILE = 496  # rows and columns
_INACCURATE = 1e-5  # of what is summed: the digits of a lower cost would show rounding, so the tree's is summed again
_DOUBTFUL = 1e-10  # of what is summed: rounding might exchange merges of lower costs, so all such are summed again
_EPS = float(np.finfo(np.float64).eps)
_CROWDED = 4  # an entry of sparse rows takes as long as so many of dense ones


def information_tree(rows: Distributions, masses: FloatArray, kernel: KernelName, *, n_jobs: int | None) -> FloatArray:
    """SciPy's Z of the rows, of given masses; each distance is the information lost in the merge, in nats."""
    sums = _weighted(rows, masses)
    nearest, costs = _nearest_later(sums, masses, kernel, n_jobs)
    merging = SparseMergingRows(sums.values, load(kernel)) if sums.is_sparse else load(kernel).merging(sums.dense())
    clusters = _Agglomeration(merging, masses.astype(np.float64), nearest, costs, load(kernel))
    merges = [clusters.merge() for _ in range(len(masses) - 1)]
    return tree_of_merges(np.array([pair for *pair, _ in merges]), np.array([cost for *_, cost in merges]))


def information_curve(distances: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """Numbers of clusters, and the share of all that merges lose which so many clusters have not lost yet."""
    n_clusters = np.arange(1, len(distances) + 2)
    kept = np.append(0, np.cumsum(distances[::-1]))
    retained = kept / kept[-1] if kept[-1] > 0 else np.ones(len(kept))  # equal rows have nothing to lose
    return n_clusters, retained


def _weighted(rows: Distributions, masses: FloatArray) -> Distributions:
    """Each row times its mass; rows that are not sparse enough for that to be faster are made dense."""
    if rows.is_sparse and _CROWDED * rows.values.nnz < rows.shape[0] * rows.shape[1]:
        data = rows.values.data * np.repeat(masses, np.diff(rows.values.indptr))
        return Distributions(sp.csr_array((data, rows.values.indices, rows.values.indptr), shape=rows.shape))
    return Distributions(rows.dense() * masses[:, np.newaxis])


def merge_costs(
    P: Distributions, Q: Distributions, i: Places, j: Places, v: FloatArray, w: FloatArray, kernel: PairKernel,
    n_members: FloatArray | float = 2,
) -> FloatArray:  # fmt: skip
    """Return the information lost when the sum P[i[k]], of mass v[k], is merged with Q[j[k]], of mass w[k].

    It is made of terms that are never negative. It is 0 where it is no more than equal rows of so many ``n_members``
    would lose for having been rounded apart.
    """
    costs: FloatArray = (v + w) * termwise.weighted_of_pairs(P, Q, i, j, v, w, kernel)
    # Rows whose entries differ by a relative δ lose at most δ² / 2 of the smaller mass. Two rows, divided by their sums
    # and weighted, may differ by four units in the last place, and each member added to them by half a unit more.
    apart = _EPS * (3 + n_members / 2)
    return np.where(costs > apart**2 / 2 * np.minimum(v, w), costs, 0)


def _fast_costs(v: FloatArray, w: FloatArray, overlaps: FloatArray) -> FloatArray:
    log_of_both = np.log(v + w)
    costs: FloatArray = v * (log_of_both - np.log(v)) + w * (log_of_both - np.log(w)) - 2 * overlaps
    return costs


def _summed(both: FloatArray, n_bins: int) -> FloatArray:
    """The size of the sums whose difference a fast cost is, to which its rounding is in proportion.

    A mass far from one has large logarithms, which cancel.
    """
    sizes: FloatArray = both * (1 + np.log(n_bins) + np.abs(np.log(both)))
    return sizes


def pair_costs(
    P: Distributions, Q: Distributions, of_p: FloatArray, of_q: FloatArray, kernel: KernelName, *, upper: bool,
    accurate_below: float = _INACCURATE,
) -> FloatArray:  # fmt: skip
    """Return the costs of merging any sum in P with any in Q, of given masses; infinite with ``upper`` where j ≤ i."""
    v, w = of_p[:, np.newaxis], of_q[np.newaxis]
    costs = _fast_costs(v, w, pair_overlaps("mixture", P, Q, load(kernel), upper=upper))
    if upper:
        costs[np.tri(len(P), dtype=bool)] = np.inf
    doubtful = costs < accurate_below * _summed(v + w, P.shape[1])
    if np.count_nonzero(doubtful) > len(P) + len(Q):  # else rows would be compared for nothing
        labels_of_p, labels_of_q = termwise.labels_of_equal_rows(P, Q)
        equal = doubtful & (labels_of_p[:, np.newaxis] == labels_of_q) & (v == w)
        costs[equal] = 0
        doubtful &= ~equal
    i, j = np.nonzero(doubtful)
    costs[i, j] = merge_costs(P, Q, i, j, of_p[i], of_q[j], load(kernel))
    return costs


# --- The cheapest partner of each in a later place, from tiles ---


def _nearest_later(
    sums: Distributions, masses: FloatArray, kernel: KernelName, n_jobs: int | None
) -> tuple[NDArray[np.intp], FloatArray]:
    """Its place, and the cost; the last has none."""
    n, n_bins = sums.shape
    found = np.full((-(-n // _TILE), 2, n), np.inf)

    def calls() -> Iterator[tuple[tuple[int, slice, slice], tuple[object, ...]]]:
        for tile in tiles_of((n, n), (_TILE, _TILE), of_itself=True, upper=True):
            blocks_of_rows = sums[tile.rows], sums[tile.columns], masses[tile.rows], masses[tile.columns]
            place = tile.columns.start // _TILE, slice(None), tile.rows
            yield place, (*blocks_of_rows, kernel, tile.diagonal is not None)

    store = IntoPlaces(found)
    run(_nearest_of_tile, calls(), store, 16 * _TILE, n_jobs=n_jobs, nanoseconds=lambda: n * n / 2 * n_bins)
    column, row = found[:, 0].argmin(axis=0), np.arange(n)
    costs, places = found[column, :, row].T
    return np.where(np.isfinite(costs), places, 0).astype(np.intp) + column * _TILE, costs


def _nearest_of_tile(
    P: Distributions, Q: Distributions, of_p: FloatArray, of_q: FloatArray, kernel: KernelName, upper: bool,
    out: FloatArray | None,  # noqa: ARG001
) -> FloatArray:  # fmt: skip
    """The lowest cost in each row of a tile, and its column; ``upper``: of the columns j > i."""
    costs = pair_costs(P, Q, of_p, of_q, kernel, upper=upper, accurate_below=_DOUBTFUL)
    places = costs.argmin(axis=1)
    return np.stack([costs[np.arange(len(P)), places], places])


# --- Merge after merge ---


class _Agglomeration:
    """Clusters that are merged one by one.

    Of each cluster are known the cheapest partner in a later place, and its cost. Once that partner has changed the
    cost is a lower bound, and is computed again when it is the lowest of all. A new cluster takes the later place.
    """

    def __init__(
        self, rows: MergingRows, masses: FloatArray, nearest: NDArray[np.intp], costs: FloatArray, kernel: PairKernel
    ) -> None:
        self.kernel = kernel
        self.rows, self.masses, self.nearest, self.costs = rows, masses, nearest, costs
        self.members = np.arange(len(masses))  # one of each cluster
        self.sizes = np.ones(len(masses))  # numbers of members
        self.alive, self.current = np.ones((2, len(masses)), dtype=bool)

    def merge(self) -> tuple[int, int, float]:
        """The next merge: a member of either cluster, and the cost."""
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
        """Of merging cluster i with those from ``start`` on; infinite where there is none."""
        v, w = self.masses[i], self.masses[start:]
        costs = _fast_costs(v, w, self.rows.overlaps(i, start))
        costs[~self.alive[start:]] = np.inf
        if i >= start:
            costs[i - start] = np.inf
        doubtful = np.flatnonzero(costs < _DOUBTFUL * _summed(v + w, self.rows.n_bins))
        for few in termwise.few_rows(len(doubtful), self.rows.n_bins):
            some = doubtful[few]
            costs[some] = self._accurate_costs(i, start + some)
        return costs

    def _accurate_costs(self, i: int, others: Places) -> FloatArray:
        """Return the costs of merging cluster i with some others, from their terms."""
        P, Q = Distributions(self.rows.dense([i])), Distributions(self.rows.dense(others.astype(np.intp)))
        place, places = np.zeros(len(others), dtype=np.intp), np.arange(len(others))
        v, n_members = np.full(len(others), self.masses[i]), self.sizes[i] + self.sizes[others]
        return merge_costs(P, Q, place, places, v, self.masses[others], self.kernel, n_members)

    def _accurate_cost(self, i: int, j: int) -> float:
        if self.costs[i] > _INACCURATE * _summed(self.masses[i] + self.masses[j], self.rows.n_bins):
            return float(self.costs[i])
        return float(self._accurate_costs(i, np.array([j]))[0])

    def _search(self, i: int, to_later: FloatArray) -> None:
        """The last place has none after it."""
        self.current[i] = True
        if not len(to_later):
            self.costs[i] = np.inf
            return
        k = int(to_later.argmin())
        self.nearest[i], self.costs[i] = i + 1 + k, to_later[k]

    def _compact(self) -> None:
        """Move the clusters together, so that half of what is computed at the most is for places without any."""
        kept = np.flatnonzero(self.alive)
        place = np.cumsum(self.alive) - 1
        self.rows.keep(kept)
        self.nearest = place[self.nearest[kept]]
        self.masses, self.costs, self.current = self.masses[kept], self.costs[kept], self.current[kept]
        self.members, self.sizes, self.alive = self.members[kept], self.sizes[kept], self.alive[kept]
