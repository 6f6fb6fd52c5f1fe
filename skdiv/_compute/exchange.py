"""Means of sums of terms between two rows of counts when their observations, or their blocks, are exchanged at random.

If both rows come from one distribution, each way to deal their observations out again, with the same totals, is as
likely as the one that was observed (Fisher 1935). So the mean over all of them is the bias of the sum in that case,
given the sums of the two counts in each bin. Given such a sum s of rows of N and M observations, the count of the first
row is hypergeometric, and the mean of the sum of terms is the sum of one expectation for each bin. A jackknife finds no
bias in a bin that one of the rows alone has reached; this mean knows that chance fills such bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from skdiv._divergences.record import Divergence
from skdiv._input.blocks import Blocks
from skdiv._utils.typing import FloatArray

_FEW = 10.0  # counts that are expected of the rarer row in a bin; below, all of its counts are gone through
_WIDEST = 52  # counts that are gone through; if 10 are expected, more than 51 have a probability below 1e-18
_CELL = 2**17  # the number of terms that are evaluated at a time
_DELETED = 2  # observations, without which a jackknife of a sum without bias evaluates the term as well
_N_ARRANGEMENTS = 99  # of blocks; the mean of so many is off by a tenth of the deviation of one


@dataclass(frozen=True)
class _Terms:
    """Terms of bins of some counts, in rows of N and M observations; all arguments broadcast."""

    divergence: Divergence
    pseudocount: float
    n_bins: int

    def __call__(self, x: FloatArray, y: FloatArray, N: FloatArray, M: FloatArray) -> FloatArray:
        """Return the terms; NaN where they are infinite, or would be without one or two of the observations."""
        values = self._of(x, y, N, M)
        if not self.pseudocount and self._may_be_infinite():
            for a, b in ((np.maximum(x - _DELETED, 0), y), (x, np.maximum(y - _DELETED, 0))):
                values = np.where(np.isfinite(self._of(a, b, N, M)), values, np.nan)
        return values

    def _of(self, x: FloatArray, y: FloatArray, N: FloatArray, M: FloatArray) -> FloatArray:
        added = self.pseudocount * self.n_bins
        p, q = (x + self.pseudocount) / (N + added), (y + self.pseudocount) / (M + added)
        return self.divergence.term(p, q)

    def _may_be_infinite(self) -> bool:
        ends = np.array([0.0, 0.5])
        return not np.isfinite(self.divergence.term(ends, ends[::-1])).all()


def mean_of_counts(divergence: Divergence, x: FloatArray, y: FloatArray, pseudocount: float) -> FloatArray:
    """Return the mean of the sums for rows of counts of shapes (n, n_bins) or (1, n_bins), as a vector.

    Where a divergence may be infinite, it is the mean over the counts for which it is finite, and is so without one or
    two of the observations, bin by bin; only then an interval is finite.
    """
    terms = _Terms(divergence, pseudocount, x.shape[-1])
    total = x + y
    N, M = (np.broadcast_to(each.sum(axis=-1, keepdims=True), total.shape) for each in (x, y))
    with np.errstate(all="ignore"):
        few = total * (np.minimum(N, M) / (N + M)) < _FEW
        means = np.zeros(total.shape)
        many = ~few
        means[many] = _by_moments(terms, total[many], N[many], M[many])
        # Bins of one pair that have the same sum of counts have the same mean.
        pairs = np.nonzero(few)[0]
        different, places = _different(pairs, total[few])
        columns = (each[few][different] for each in (total, N, M))
        means[few] = _of_all_counts(terms, *columns)[places]
    mean: FloatArray = np.where(np.isfinite(means), means, 0).sum(axis=-1)
    return mean


def _different(pairs: NDArray[np.intp], totals: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the different sums of counts of each pair, and for each place which of them it is."""
    most = totals.max(initial=0) + 1
    _, first, places = np.unique(pairs * most + totals, return_index=True, return_inverse=True)
    return first, places


def _of_all_counts(terms: _Terms, total: FloatArray, N: FloatArray, M: FloatArray) -> FloatArray:
    """Return the expectations of terms, as sums over the counts that the row with fewer observations may have."""
    means = np.zeros(len(total))
    order = np.argsort(total, kind="stable")  # so that those that are computed at a time have about as many counts
    start = 0
    while start < len(order):
        some = order[start : start + max(1, _CELL // _WIDEST)]
        means[some] = _of_some_counts(terms, *(each[some, np.newaxis] for each in (total, N, M)))
        start += len(some)
    return means


def _of_some_counts(terms: _Terms, total: FloatArray, N: FloatArray, M: FloatArray) -> FloatArray:
    """Return the expectations of terms for columns of sums of counts and of totals of rows."""
    fewer, other = np.minimum(N, M), np.maximum(N, M)
    least, most = np.maximum(total - other, 0), np.minimum(total, fewer)
    k = least + np.arange(min(int((most - least).max()) + 1, _WIDEST))
    # C(s, k) C(N + M − s, N − k) of k + 1 is that of k times this; of the first k it is set to 1.
    ratio = (total - k) * (fewer - k) / ((k + 1) * (other - total + k + 1))
    weights = np.cumprod(np.hstack([np.ones(total.shape), np.where(k < most, ratio, 0)[:, :-1]]), axis=1)
    is_first = N <= M
    values = terms(np.where(is_first, k, total - k), np.where(is_first, total - k, k), N, M)
    counted = (weights > 0) & np.isfinite(values)
    weights = np.where(counted, weights, 0)
    sums = weights.sum(axis=1)
    products = (weights * np.where(counted, values, 0)).sum(axis=1)
    return np.where(sums > 0, products / np.where(sums > 0, sums, 1), 0)


def _by_moments(terms: _Terms, total: FloatArray, N: FloatArray, M: FloatArray) -> FloatArray:
    """Return the expectations of terms, by three counts that have the moments of the hypergeometric distribution.

    With μ, σ and γ for its mean, deviation and skewness they are μ and μ + ξ, where ξ = σ (γ ± √(12 + γ²)) / 2, with
    the weight σ² / (ξ (ξ − ξ')), where ξ' is the other one. That gives the moments up to the third and a kurtosis of
    3 + γ², which for a binomial distribution is right but for 2/s.
    """
    every = N + M
    mean = total * (N / every)
    variance = mean * (M / every) * ((every - total) / (every - 1))
    middle = ((every - 2 * total) / every) * ((M - N) / (every - 2)) / 2  # σ γ / 2
    half = np.sqrt(3 * variance + middle**2)
    means, rest = np.zeros(total.shape), np.ones(total.shape)
    for side in (-half, half):
        shift = middle + side
        weight = np.where(variance > 0, variance / (shift * 2 * side), 0)
        x = np.clip(mean + shift, np.maximum(total - M, 0), np.minimum(total, N))
        means += np.where(weight > 0, weight * terms(x, total - x, N, M), 0)
        rest -= weight
    at_mean: FloatArray = rest * terms(mean, total - mean, N, M)
    return means + at_mean


@cache
def _arrangements(n: int, n_first: int) -> FloatArray:
    """Return for each of some arrangements of n blocks 1 where a block is in the first row, and 0 elsewhere."""
    rng = np.random.default_rng([n, n_first])
    first = np.zeros((_N_ARRANGEMENTS, n))
    first[:, :n_first] = 1
    return rng.permuted(first, axis=1)


def mean_of_blocks(divergence: Divergence, of_x: Blocks, of_y: Blocks, pseudocount: float) -> FloatArray:
    """Return the mean of the sums for one row, of which ``of_x`` has the blocks, and each row that ``of_y`` has.

    The arrangements are drawn at random, but the same ones whenever there are as many blocks.
    """
    one, means = of_x.dense().values, []
    terms = _Terms(divergence, pseudocount, one.shape[1])
    for j in range(len(of_y)):
        both = np.vstack([one, of_y.of(np.array([j])).dense().values])
        first = _arrangements(len(both), len(one))
        every, x = both.sum(axis=0), first @ both
        y = np.maximum(every - x, 0)
        with np.errstate(all="ignore"):
            sums = terms(x, y, *(each.sum(axis=1, keepdims=True) for each in (x, y))).sum(axis=1)
        finite = np.isfinite(sums)
        means.append(sums[finite].mean() if finite.any() else 0.0)
    return np.array(means)
