"""Clusters of rows in a Hilbert space: what it costs to merge two of them, by bounds and from their rows.

The squared distance of the centers of two clusters is the mean of the squared distances d² between their rows, less the
scatters of both, which are half of the means within. Features of the rows (`skdiv._divergences.spectra`) give every d²
with a relative error of at most δ. A mean of d² then has an error of at most δ times itself, and the squared distance y
of two centers with the scatters s and t, which is a difference of such means, has one of at most δ (y + 2 s + 2 t).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from skdiv._compute.blocks import of_candidates
from skdiv._compute.blocks.termwise import few_rows
from skdiv._compute.duplicates import EqualRows
from skdiv._compute.kernels import load
from skdiv._compute.measure import Measure
from skdiv._divergences.spectra import Spectrum
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray, Places

_PAIRS = 2**18  # the number of pairs of rows whose divergences are computed at a time
_ROWS = 4096  # the number of rows whose features are summed to centers at a time, at the least
_ROUNDINGS = 8  # of the factors, the terms and the scores; more than there are
_LOST = 1e-6  # of the squared norms of two centers: a smaller squared distance has lost digits in a product
_BINS = 32  # the number of bins of the features of a chunk in double precision


class Merging(Protocol):
    """The interface of a linkage whose merges cost something that the centers and the scatters of clusters tell."""

    power: float  # of which divergences it is a linkage: squared distances to this power

    def costs(self, squares: FloatArray, of_weights: FloatArray, scatters: FloatArray) -> FloatArray:
        """Return the costs of merges, in the memory of ``squares`` if that is possible.

        ``squares`` are the squared distances of the centers, ``of_weights`` the sums of the inverse weights of both
        clusters, and ``scatters`` the sums of both scatters.
        """

    def heights(self, costs: FloatArray) -> FloatArray:
        """Return the heights of merges in the tree."""


class Ward:
    """Ward's linkage of distances: the cost is by how much the sum of squared distances from the centers grows."""

    power = 0.5

    def costs(self, squares: FloatArray, of_weights: FloatArray, scatters: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return the squared distances of the centers times a b / (a + b), for the weights a and b."""
        return np.divide(squares, of_weights, out=squares)

    def heights(self, costs: FloatArray) -> FloatArray:
        """Return the square roots of twice the costs, as SciPy has them."""
        return np.sqrt(2 * costs)


class AverageOfSquares:
    """Average linkage of squared distances: the cost is the mean of the squared distances between the rows."""

    power = 1.0

    def costs(self, squares: FloatArray, of_weights: FloatArray, scatters: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return the squared distances of the centers plus the scatters."""
        return np.add(squares, scatters, out=squares)

    def heights(self, costs: FloatArray) -> FloatArray:
        """Return the costs."""
        return costs


@dataclass(frozen=True)
class Clusters:
    """Clusters of rows, and what their merges need.

    Parameters
    ----------
    rows : Distributions
        Dense rows in double precision.
    row_weights : ndarray of shape (n,)
        Their weights.
    order, starts : ndarray
        The rows cluster by cluster, and where each cluster begins among them; the end is the last entry of ``starts``.
    weights, scatters : ndarray of shape (m,)
        The sum of the weights of each cluster, and half of the mean squared distance between its rows.
    """

    rows: Distributions
    row_weights: FloatArray
    order: Places
    starts: Places
    weights: FloatArray
    scatters: FloatArray

    @classmethod
    def of_equal_rows(cls, rows: Distributions, row_weights: FloatArray) -> Clusters:
        """Return the clusters of rows that are equal to the bit."""
        equal = EqualRows.of(rows)
        starts = np.append(equal.starts, len(rows))
        weights = np.add.reduceat(row_weights[equal.members], equal.starts)
        return cls(rows, row_weights, equal.members, starts, weights, np.zeros(len(weights)))

    def __len__(self) -> int:
        """Return the number of clusters."""
        return len(self.weights)

    @property
    def sizes(self) -> Places:
        """Return the number of rows of each cluster."""
        return np.diff(self.starts)

    @property
    def first(self) -> Places:
        """Return a row of each cluster."""
        return self.order[self.starts[:-1]]

    def numbers_after(self, A: Places, B: Places) -> Places:
        """Return for each cluster its number after the clusters A[k] and B[k] have been merged."""
        gone = np.zeros(len(self), dtype=bool)
        gone[B] = True
        numbers: Places = np.cumsum(~gone) - 1
        numbers[B] = numbers[A]
        return numbers

    def merged(self, A: Places, B: Places, squares: FloatArray) -> Clusters:
        """Return the clusters after A[k] and B[k] have been merged, whose centers have these squared distances."""
        numbers = self.numbers_after(A, B)
        of_rows = np.repeat(numbers, self.sizes)
        weights = np.bincount(numbers, weights=self.weights).astype(np.float64, copy=False)
        scatters = np.bincount(numbers, weights=self.weights * self.scatters).astype(np.float64, copy=False)
        scatters[numbers[A]] += self.weights[A] * self.weights[B] / weights[numbers[A]] * squares
        starts = np.append(0, np.cumsum(np.bincount(of_rows)))
        order = self.order[np.argsort(of_rows, kind="stable")]
        return replace(self, order=order, starts=starts, weights=weights, scatters=scatters / weights)

    def squares(self, measure: Measure, power: float, A: Places, B: Places) -> FloatArray:
        """Return the squared distances of the centers of A[k] and B[k], from the divergences of their rows."""
        means = np.empty(len(A))
        ends = np.cumsum(self.sizes[A] * self.sizes[B])
        k = 0
        while k < len(A):
            start = ends[k - 1] if k else 0
            stop = max(k + 1, int(np.searchsorted(ends, start + _PAIRS, side="right")))
            means[k:stop] = self._means(measure, power, A[k:stop], B[k:stop])
            k = stop
        squares: FloatArray = np.maximum(means - self.scatters[A] - self.scatters[B], 0)
        return squares

    def _means(self, measure: Measure, power: float, A: Places, B: Places) -> FloatArray:
        """Return the means of the squared distances between the rows of A[k] and those of B[k]."""
        of_pair = self.sizes[A] * self.sizes[B]
        starts = np.cumsum(of_pair) - of_pair
        within, width = np.arange(of_pair.sum()) - np.repeat(starts, of_pair), np.repeat(self.sizes[B], of_pair)
        i = self.order[np.repeat(self.starts[A], of_pair) + within // width]
        j = self.order[np.repeat(self.starts[B], of_pair) + within % width]
        kernel, sums = load(measure.kernel), np.empty(len(i))
        for start in range(0, len(i), _PAIRS):
            some = slice(start, start + _PAIRS)
            sums[some] = of_candidates(measure.divergence, self.rows, self.rows, i[some], j[some], kernel)
        sums **= 1 / power
        sums *= self.row_weights[i] * self.row_weights[j]
        return np.add.reduceat(sums, starts) / (self.weights[A] * self.weights[B])


class Bounded(NamedTuple):
    """What a screen needs of some clusters; see `CenterScreen.lower_bounds`."""

    factor: FloatArray
    terms: FloatArray
    inverse_weights: FloatArray
    scatters: FloatArray
    errors: FloatArray


@dataclass(frozen=True)
class CenterScreen:
    """Bounds of the costs of merging clusters, by features of their centers.

    ``centers`` are the features less ``middle``, in the dtype of the screen; ``n_roundings`` says how often they have
    been rounded to it.
    """

    spectrum: Spectrum
    middle: FloatArray
    centers: FloatArray
    n_roundings: int = 1

    @classmethod
    def of(cls, spectrum: Spectrum, clusters: Clusters, dtype: type[np.floating[Any]] = np.float32) -> CenterScreen:
        """Make a screen of a spectrum."""
        few = np.unique(np.linspace(0, len(clusters.rows) - 1, _ROWS).astype(np.intp))
        middle = _features(spectrum, clusters.rows[few]).mean(axis=0)
        centers = np.empty((len(clusters), len(middle)), dtype=dtype)
        for some, means in _means_of_features(spectrum, clusters):
            centers[some] = means - middle
        return cls(spectrum, middle, centers)

    def merged(self, clusters: Clusters, A: Places, B: Places) -> CenterScreen:
        """Return the screen after A[k] and B[k] have been merged; ``clusters`` are those before."""
        shares = (clusters.weights[B] / (clusters.weights[A] + clusters.weights[B]))[:, np.newaxis]
        centers = self.centers.copy()
        centers[A] += shares * (centers[B].astype(np.float64) - centers[A])
        kept = np.ones(len(clusters), dtype=bool)
        kept[B] = False
        return replace(self, centers=centers[kept], n_roundings=self.n_roundings + 1)

    def bounded(self, clusters: Clusters) -> Bounded:
        """Return what `lower_bounds` needs of all clusters, in the dtype of the screen.

        The errors of the squared distance of two centers are bounded by the sum of the errors of both, and a factor
        1 ± δ: those of the spectrum, and of the rounding of the centers and of an inner product (N. J. Higham,
        "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1).
        """
        dtype = self.centers.dtype
        unit, n = float(np.finfo(dtype).eps) / 2, self.centers.shape[1]
        norms = np.vecdot(self.centers, self.centers, dtype=np.float64)
        largest = float(norms.max(initial=0.0)) * (1 + 1e-3)
        of_product = (n + _ROUNDINGS) * unit / (1 - (n + _ROUNDINGS) * unit) * 2 * largest
        of_center = (self.n_roundings + 1) * unit * np.sqrt(largest)
        rounding = of_product + _ROUNDINGS * unit * 4 * largest + 8 * np.sqrt(largest) * of_center + 4 * of_center**2
        errors = 2 * self.spectrum.distortion * clusters.scatters + rounding / 2 + float(np.finfo(dtype).tiny)
        columns = norms - errors, 1 / clusters.weights, clusters.scatters, errors
        return Bounded(self.centers, *(column.astype(dtype) for column in columns))


def lower_bounds(merging: Merging, left: Bounded, right: Bounded, out: FloatArray) -> FloatArray:
    """Return lower bounds of the costs of all merges of a left and a right cluster, but for a factor 1 + δ.

    ``left.factor`` has been multiplied by −2. A bound may be negative.
    """
    np.matmul(left.factor, right.factor.T, out=out)
    out += right.terms
    out += left.terms[:, np.newaxis]
    of_weights = left.inverse_weights[:, np.newaxis] + right.inverse_weights
    return merging.costs(out, of_weights, left.scatters[:, np.newaxis] + right.scatters)


def squares_of_centers(spectrum: Spectrum, clusters: Clusters) -> FloatArray:
    """Return the squared distances of all centers in the features of a spectrum, in double precision."""
    total, norms = np.zeros((len(clusters), len(clusters))), np.zeros(len(clusters))
    for centers in _centers_by_bins(spectrum, clusters):
        total -= 2 * (centers @ centers.T)
        norms += np.vecdot(centers, centers)
    total += norms
    total += norms[:, np.newaxis]
    i, j = np.nonzero(np.triu(total < _LOST * (norms + norms[:, np.newaxis]), 1))
    total[i, j] = total[j, i] = _squares_of_few(spectrum, clusters, i, j) if len(i) else 0
    np.fill_diagonal(total, 0)
    return total


def _squares_of_few(spectrum: Spectrum, clusters: Clusters, i: Places, j: Places) -> FloatArray:
    """Return the squared distances of some pairs of centers that are near each other, from their differences."""
    squares = np.zeros(len(i))
    for centers in _centers_by_bins(spectrum, clusters):
        for some in few_rows(len(i), centers.shape[1]):
            differences = centers[i[some]] - centers[j[some]]
            squares[some] += np.vecdot(differences, differences)
    return squares


def _centers_by_bins(spectrum: Spectrum, clusters: Clusters) -> Iterator[FloatArray]:
    """Yield the features of the centers, less their mean, for some bins at a time."""
    for start in range(0, clusters.rows.shape[1], _BINS):
        bins = Distributions(np.ascontiguousarray(clusters.rows.dense()[:, start : start + _BINS]))
        centers = np.concatenate([means for _, means in _means_of_features(spectrum, replace(clusters, rows=bins))])
        yield centers - clusters.weights @ centers / clusters.weights.sum()


def _means_of_features(spectrum: Spectrum, clusters: Clusters) -> Iterator[tuple[slice, FloatArray]]:
    """Yield slices of the clusters, and the weighted means of the features of their rows."""
    first = 0
    while first < len(clusters):
        most = clusters.starts[first] + _ROWS
        last = max(first + 1, int(np.searchsorted(clusters.starts, most, side="right")) - 1)
        starts = clusters.starts[first : last + 1]
        places, of_row = clusters.order[starts[0] : starts[-1]], np.repeat(np.arange(last - first), np.diff(starts))
        sums = np.zeros((last - first, clusters.rows.shape[1] * spectrum.n_features))
        for some in few_rows(len(places), clusters.rows.shape[1]):
            features = _features(spectrum, clusters.rows[places[some]])
            features *= clusters.row_weights[places[some], np.newaxis]
            cuts = np.flatnonzero(np.diff(of_row[some], prepend=-1))
            sums[of_row[some][cuts]] += np.add.reduceat(features, cuts, axis=0)
        yield slice(first, last), sums / clusters.weights[first:last, np.newaxis]
        first = last


def _features(spectrum: Spectrum, rows: Distributions) -> FloatArray:
    """Return the features of all bins of rows, side by side."""
    return np.concatenate(spectrum.features(rows.dense()), axis=1)
