"""Trees of clusters in a Hilbert space, without the matrix of all distances.

A linkage is reducible if a merge never brings a third cluster nearer. Two clusters that are each other's nearest may
then be merged at once, wherever they stand in the tree, and a cluster whose nearest has not been merged keeps it (F.
Murtagh, "A survey of recent advances in hierarchical clustering algorithms", Computer Journal 26, 1983). So clusters
are merged in rounds, and only those that are new or have lost their nearest look for it again: among some three times
as many pairs in all as there are pairs of rows.

Bounds from one matrix product leave a few candidates for each cluster, whose costs are then computed from the rows. The
rounds end when few clusters are left, or hardly any merge is certain; the matrix of what is left finishes the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skdiv._compute.centers import (
    AverageOfSquares,
    Bounded,
    CenterScreen,
    Clusters,
    Merging,
    Ward,
    lower_bounds,
    squares_of_centers,
)
from skdiv._compute.measure import Measure
from skdiv._compute.run import IntoPlaces, Work, run
from skdiv._compute.screens import has_screen
from skdiv._divergences.spectra import fine_spectrum
from skdiv._input.distributions import Distributions
from skdiv._trees.linkage import linkage_matrix, tree_of_merges
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.progress import stage
from skdiv._utils.typing import FloatArray, Places

_MERGINGS: dict[str, Merging] = {"average": AverageOfSquares(), "ward": Ward()}
_FEW = 2048  # the number of clusters of which the matrix is made
_ROWS, _COLUMNS = 512, 1024  # the numbers of clusters of a task, and of those whose bounds are in the cache at a time
_COARSE, _FINE = 2, 8  # the places of the spectra of the screens: the first one is for single rows
_STILL_ROWS = 0.6  # with fewer clusters than this share of the rows, the finer screen is made
_LONG = 4096  # a cluster with more candidates is left undecided
_MOST_PAIRS = 2**16  # so is one with more pairs of rows between it and its candidates
_STALLED = 64  # the rounds end when fewer than one in this number of clusters is merged in a round
_DENSE_BINS = 1024  # the largest number of bins in which sparse rows are made dense
_TINY_SHARE = 2.0**-19  # above the relative roundings of a bound in single precision
_LAST_BITS = 12  # of a cost: rounding decides about them
_NANOSECONDS = 0.05  # the time of one feature of one pair, roughly


def is_for_rounds(linkage: str, measure: Measure, rows: Distributions) -> bool:
    """Return whether a linkage of these rows can be built in rounds."""
    divergence, merging = measure.divergence, _MERGINGS.get(linkage)
    if merging is None or divergence.fast is None or (rows.is_sparse and rows.shape[1] > _DENSE_BINS):
        return False
    return has_screen(divergence, _as_dense(rows[:1])) and divergence.fast.power == merging.power


def tree_in_rounds(
    linkage: str, rows: Distributions, weights: FloatArray | None, measure: Measure, n_jobs: int | None
) -> FloatArray:
    """Return the tree of rows with weights, or None for equal ones, as SciPy's Z, in the units of the measure."""
    weights = np.ones(len(rows)) if weights is None else weights.astype(np.float64)
    clusters = Clusters.of_equal_rows(_as_dense(rows), weights)
    with stage("tree", len(rows) - 1) as advance, one_blas_thread():
        merges = [_of_equal_rows(clusters)]
        advance(len(merges[0].heights))
        rounds = _Rounds(_MERGINGS[linkage], measure, n_jobs)
        left = clusters
        for left, made in rounds.of(clusters):  # noqa: B007 (what is left in the end is used after the loop)
            merges.append(made)
            advance(len(made.heights))
        merges.append(rounds.rest(linkage, left))
        advance(len(merges[-1].heights))
    heights = np.concatenate([made.heights for made in merges])
    order = np.argsort(heights, kind="stable")
    pairs = np.concatenate([np.column_stack([made.left, made.right]) for made in merges])
    return tree_of_merges(pairs[order], heights[order] / measure.scale)


def bytes_of_rounds(rows: Distributions) -> int:
    """Return about how many bytes the rounds take: two copies of the features of the finer screen, and the matrix."""
    n, n_bins = rows.shape
    return int(2 * _STILL_ROWS * 4 * (_FINE + 1) * n * n_bins) + 4 * 8 * min(n, _FEW) ** 2


class Merges(NamedTuple):
    """Merges of clusters: a row of each of the two clusters, and the heights."""

    left: Places
    right: Places
    heights: FloatArray


def _as_dense(rows: Distributions) -> Distributions:
    """Return rows as a dense array in double precision; those in single precision are divided by their sums again."""
    values = rows.dense().astype(np.float64, copy=False)
    return Distributions(values if rows.dtype == np.float64 else values / values.sum(axis=1, keepdims=True))


def _of_equal_rows(clusters: Clusters) -> Merges:
    """Return the merges of equal rows, at the height 0."""
    first = np.repeat(clusters.first, clusters.sizes)
    others = first != clusters.order
    return Merges(first[others], clusters.order[others], np.zeros(int(others.sum())))


@dataclass(frozen=True)
class _Nearest:
    """The nearest of each cluster, or −1 where it is not known, and the costs of the merges, NaN where not computed."""

    places: Places
    costs: FloatArray

    @property
    def mutual(self) -> tuple[Places, Places]:
        """Return the pairs of clusters that are each other's nearest."""
        numbers = np.arange(len(self.places))
        lower = np.flatnonzero((numbers < self.places) & (self.places[self.places] == numbers))
        return lower, self.places[lower]

    def after(self, clusters: Clusters, A: Places, B: Places) -> _Nearest:
        """Return what is still known after A[k] and B[k] have been merged; ``clusters`` are those before."""
        touched = np.zeros(len(self.places), dtype=bool)
        touched[A] = touched[B] = True
        kept = np.ones(len(touched), dtype=bool)
        kept[B] = False
        unknown = touched | (self.places < 0) | touched[self.places]
        places = np.where(unknown, -1, clusters.numbers_after(A, B)[self.places])
        return _Nearest(places[kept], np.where(unknown, np.nan, self.costs)[kept])


@dataclass(frozen=True)
class _Rounds:
    """The merges of a linkage, round by round."""

    merging: Merging
    measure: Measure
    n_jobs: int | None

    def of(self, clusters: Clusters) -> Iterator[tuple[Clusters, Merges]]:
        """Yield what is left after each round, and its merges."""
        n, spectra = len(clusters), self.measure.divergence.spectra
        coarse, fine = spectra[: _COARSE + 1][-1], spectra[: _FINE + 1][-1]
        screen: CenterScreen | None = None
        nearest = _Nearest(np.full(n, -1), np.full(n, np.nan))
        while len(clusters) > _FEW:
            if screen is None:
                screen = CenterScreen.of(coarse, clusters)
            elif screen.spectrum is not fine and len(clusters) < _STILL_ROWS * n:
                screen = CenterScreen.of(fine, clusters)
            nearest = self._asked(clusters, screen, nearest)
            if 2 * (nearest.places < 0).sum() > len(clusters) and screen.centers.dtype == np.float32:
                screen = CenterScreen.of(fine, clusters, np.float64)
                continue
            A, B = nearest.mutual
            if len(A) * _STALLED < len(clusters):
                return
            squares = clusters.squares(self.measure, self.merging.power, A, B)
            made = Merges(clusters.first[A], clusters.first[B], self._heights(clusters, A, B, squares))
            screen, nearest = screen.merged(clusters, A, B), nearest.after(clusters, A, B)
            clusters = clusters.merged(A, B, squares)
            yield clusters, made

    def rest(self, linkage: str, clusters: Clusters) -> Merges:
        """Return the merges of the clusters that are left, from the matrix of their distances."""
        if len(clusters) == 1:
            return Merges(clusters.first[:0], clusters.first[:0], np.empty(0))
        squares = squares_of_centers(fine_spectrum(self.measure.divergence.spectra), clusters)
        i, j = np.triu_indices(len(clusters), 1)
        condensed = squares[i, j]
        if self.merging.power == 1:
            condensed += clusters.scatters[i] + clusters.scatters[j]
        del squares, i, j
        tree = linkage_matrix(condensed**self.merging.power, linkage, clusters.weights)
        first = np.append(clusters.first, np.zeros(len(tree), dtype=np.intp))
        pairs = tree[:, :2].astype(np.intp)
        for k, (left, _) in enumerate(pairs):
            first[len(clusters) + k] = first[left]
        return Merges(first[pairs[:, 0]], first[pairs[:, 1]], tree[:, 2])

    def _heights(self, clusters: Clusters, A: Places, B: Places, squares: FloatArray) -> FloatArray:
        """Return the heights of merges of clusters whose centers have these squared distances."""
        return self.merging.heights(costs_of(self.merging, clusters, A, B, squares))

    def _asked(self, clusters: Clusters, screen: CenterScreen, nearest: _Nearest) -> _Nearest:
        """Return the nearest of all clusters, where they can be told."""
        asked = np.flatnonzero(nearest.places < 0)
        bounded, found = screen.bounded(clusters), np.empty((2, len(asked)))
        task = _Task(self.merging, self.measure, clusters, bounded, screen.spectrum.distortion)
        parts = (slice(start, start + _ROWS) for start in range(0, len(asked), _ROWS))
        calls = (((slice(None), part), (asked[part],)) for part in parts)
        n_features = float(len(asked)) * screen.centers.size
        work = Work(16 * _ROWS, lambda: _NANOSECONDS * n_features, blas_bound=True)
        run(task, calls, IntoPlaces(found), work, n_jobs=self.n_jobs)
        places, costs = nearest.places.copy(), nearest.costs.copy()
        places[asked], costs[asked] = found
        return _Nearest(places, costs)


def costs_of(merging: Merging, clusters: Clusters, A: Places, B: Places, squares: FloatArray) -> FloatArray:
    """Return the costs of merges of clusters whose centers have these squared distances."""
    of_weights = 1 / clusters.weights[A] + 1 / clusters.weights[B]
    return merging.costs(squares.copy(), of_weights, clusters.scatters[A] + clusters.scatters[B])


@dataclass(frozen=True)
class _Task:
    """The search for the nearest of some clusters."""

    merging: Merging
    measure: Measure
    clusters: Clusters
    bounded: Bounded
    distortion: float

    def __call__(self, asked: Places) -> FloatArray:
        """Return the nearest of the clusters ``asked`` and the costs of the merges, as an array of shape (2, n)."""
        with one_blas_thread():
            i, j = self._candidates(asked)
            counts = np.bincount(i, minlength=len(asked))
            sizes = self.clusters.sizes
            n_pairs = np.bincount(i, weights=sizes[asked[i]] * sizes[j], minlength=len(asked))
            found = np.array([np.full(len(asked), -1.0), np.full(len(asked), np.nan)])
            alone = counts[i] == 1
            found[0, i[alone]] = j[alone]
            compared = ~alone & (n_pairs[i] <= _MOST_PAIRS)
            i, j = i[compared], j[compared]
            low, high = np.minimum(asked[i], j), np.maximum(asked[i], j)
            squares = self.clusters.squares(self.measure, self.merging.power, low, high)
            costs = costs_of(self.merging, self.clusters, low, high, squares)
            # Costs that agree to twelve digits are equal. Clusters are numbered anew in each round, but the order of
            # equal costs has to stay.
            one, other = self.clusters.first[low], self.clusters.first[high]
            mixed = _mixed(np.minimum(one, other), np.maximum(one, other))
            order = np.lexsort((one, other, mixed, costs.view(np.int64) >> _LAST_BITS, i))
            best = order[np.flatnonzero(np.diff(i[order], prepend=-1))]
            found[0, i[best]], found[1, i[best]] = j[best], costs[best]
            return found

    def _candidates(self, asked: Places) -> tuple[Places, Places]:
        """Return pairs of a place in ``asked`` and a cluster that may be its nearest; none where they are many."""
        all_columns, rows = self.bounded, np.arange(len(asked))
        left = Bounded(*(column[asked] for column in all_columns))
        left = left._replace(factor=-2 * left.factor)
        dtype = left.factor.dtype.type
        factor = dtype((1 + self.distortion) / (1 - self.distortion) * (1 + _TINY_SHARE))
        least, counts = np.full(len(asked), np.inf, dtype), np.zeros(len(asked), dtype=np.intp)
        found = []
        memory = np.empty((len(asked), _COLUMNS), dtype)
        for start in range(0, len(self.clusters), _COLUMNS):
            right = Bounded(*(column[start : start + _COLUMNS] for column in all_columns))
            bounds = memory.ravel()[: len(asked) * len(right.terms)].reshape(len(asked), -1)
            lower_bounds(self.merging, left, right, bounds)
            itself = np.flatnonzero((asked >= start) & (asked < start + len(right.terms)))
            bounds[itself, asked[itself] - start] = np.inf
            k = bounds.argmin(axis=1)
            np.minimum(least, self._upper(left, right, bounds[rows, k], k, factor), out=least)
            i, j = np.divmod(np.flatnonzero(bounds <= least[:, np.newaxis]), len(right.terms))
            counts += np.bincount(i, minlength=len(asked))
            least[counts > _LONG] = -np.inf
            found.append((i, j + start, bounds[i, j]))
        i, j, bounds = (np.concatenate(columns) for columns in zip(*found, strict=True))
        near = bounds <= least[i]
        return i[near], j[near]

    def _upper(self, left: Bounded, right: Bounded, bounds: FloatArray, k: Places, factor: np.floating) -> FloatArray:
        """Return upper bounds of the costs of one merge of each left cluster, with the right cluster k[i]."""
        errors = 2 * (left.errors + right.errors[k])
        of_weights = left.inverse_weights + right.inverse_weights[k]
        added = self.merging.costs(errors, of_weights, np.zeros_like(errors))
        upper: FloatArray = np.maximum(bounds + added, 0) * factor
        return upper


def _mixed(low: Places, high: Places) -> NDArray[np.uint64]:
    """Return a number for each pair that decides between equal costs, so that many pairs are each other's nearest."""
    numbers = low.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ high.astype(np.uint64) * np.uint64(
        0xC2B2AE3D27D4EB4F
    )
    mixed: NDArray[np.uint64] = (numbers ^ (numbers >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed
