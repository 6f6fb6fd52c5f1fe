"""Sums of terms between rows of counts, with their biases and variances, by the jackknife.

An observation, or a block of observations, is deleted from one of the two rows and the sum is computed anew; how the
sums vary says how far the data may be off (Quenouille 1956; Tukey 1958; of two samples, Arvesen 1969). All observations
of one bin are alike, so a sum for each bin is enough. To delete one in bin b turns n into n / (N − 1) in every bin and
into (n − 1) / (N − 1) in bin b. So the sum without it is the sum of f(n / (N − 1), q) over all bins, plus a difference
in bin b alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skdiv._divergences.forms import identity
from skdiv._divergences.record import Divergence
from skdiv._input.blocks import Blocks
from skdiv._utils.typing import FloatArray

_MANY = 10**7  # observations; beyond, rounding exceeds what the second deletion of one of them does


class Sums(NamedTuple):
    """Sums of terms, as vectors of one entry a pair: their biases, their variances, and what the values vary."""

    total: FloatArray
    bias: FloatArray
    variance: FloatArray
    value_variance: FloatArray  # of ``finish(total)``
    n_effective: FloatArray  # observations; that would be as few, if all that count had the same effect


# of_bins(a, A, b, B) returns what each bin adds after a observations of this bin of p, among A of all bins, have been
# deleted, and b among B of q.
_OfBins = Callable[[int, int, int, int], FloatArray]


def sums_of_counts(divergence: Divergence, x: FloatArray, y: FloatArray, pseudocount: float) -> Sums:
    """Return the sums for rows of counts of shapes (n, n_bins) or (1, n_bins), by deleting each observation.

    The variance is the larger one of two, of the sum and of the sum without its bias. They agree unless many bins have
    few observations; the second then holds that the bias is not known well.
    """
    counts = x, y
    totals = tuple(each.sum(axis=-1, keepdims=True) for each in counts)
    added = pseudocount, pseudocount * x.shape[-1]

    @cache
    def terms(a: int, of_p: int, b: int, of_q: int) -> FloatArray:
        p, q = (
            (np.maximum(each - in_bin, 0) + added[0]) / (total - in_all + added[1])
            for each, total, in_bin, in_all in zip(counts, totals, (a, b), (of_p, of_q), strict=True)
        )
        of_bins: FloatArray = divergence.term(p, q)
        return of_bins

    @cache
    def corrected(a: int, of_p: int, b: int, of_q: int) -> FloatArray:
        n, m = x - a, y - b
        size, other = (totals[0] - of_p), (totals[1] - of_q)
        of_bin = terms(a, of_p, b, of_q)
        without_x = _mean(n / size, terms(a, of_p + 1, b, of_q), terms(a + 1, of_p + 1, b, of_q))
        without_y = _mean(m / other, terms(a, of_p, b, of_q + 1), terms(a, of_p, b + 1, of_q + 1))
        of_bins: FloatArray = of_bin + (size - 1) * (of_bin - without_x) + (other - 1) * (of_bin - without_y)
        return of_bins

    with np.errstate(all="ignore"):
        plain = _jackknife(terms, x, y, divergence.finish)
        of_corrected = _jackknife(corrected, x, y, identity).variance
        is_exact = np.maximum(*(total[:, 0] for total in totals)) <= _MANY
        variance = np.where(is_exact, np.fmax(plain.variance, of_corrected), plain.variance)
    return _where_finite(plain._replace(variance=variance))


def _mean(share: FloatArray, rest: FloatArray, without: FloatArray) -> FloatArray:
    """Return the mean over all deletions of what a bin adds: ``share`` of them are of this bin."""
    return rest + np.where(share > 0, share * (without - rest), 0)


def _jackknife(of_bins: _OfBins, x: FloatArray, y: FloatArray, finish: Callable[[FloatArray], FloatArray]) -> Sums:
    """Return the bias and the variances of a sum over bins, from all deletions of one observation."""
    total = of_bins(0, 0, 0, 0).sum(axis=-1)
    bias, variance, value_variance, squares, fourths = (np.zeros(total.shape) for _ in range(5))
    for n, rest, without in (
        (x, of_bins(0, 1, 0, 0), of_bins(1, 1, 0, 0)),
        (y, of_bins(0, 0, 0, 1), of_bins(0, 0, 1, 1)),
    ):
        size = n.sum(axis=-1)
        sums = rest.sum(axis=-1, keepdims=True) + np.where(n > 0, without - rest, 0)
        share = n / size[..., np.newaxis]
        bias = bias + (size - 1) * (np.where(n > 0, share * sums, 0).sum(axis=-1) - total)
        spread, fourth = _spread(share, sums)
        squares, fourths = squares + size * spread, fourths + size * fourth
        variance = variance + (size - 1) * spread
        value_variance = value_variance + (size - 1) * _spread(share, finish(sums))[0]
    return Sums(total, bias, variance, value_variance, np.where(fourths > 0, squares**2 / fourths, np.inf))


def _spread(share: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the second and fourth central moments of values that have these shares; what has none may be anything."""
    values = np.where(share > 0, values, 0)
    mean = (share * values).sum(axis=-1, keepdims=True)
    squares = (values - mean) ** 2
    return (share * squares).sum(axis=-1), (share * squares**2).sum(axis=-1)


def _where_finite(sums: Sums) -> Sums:
    """Return the sums, with infinite variances wherever a sum, or one after a deletion, is infinite."""
    finite = np.isfinite(sums.total) & np.isfinite(sums.bias) & np.isfinite(sums.value_variance)
    variance, of_value = (np.where(finite & np.isfinite(each), each, np.inf) for each in sums[2:4])
    return Sums(sums.total, np.where(finite, sums.bias, 0), variance, of_value, sums.n_effective)


@dataclass(frozen=True)
class Deleted:
    """The rows that are left of rows of counts after one of their blocks has been deleted, one under another.

    ``starts`` are the positions of the first of each row, and ``sizes`` the numbers of blocks.
    """

    rows: FloatArray
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]

    @classmethod
    def of(cls, counts: FloatArray, blocks: Blocks, pseudocount: float) -> Deleted:
        """Return the distributions that are left of dense rows of counts."""
        values = blocks.values if isinstance(blocks.values, np.ndarray) else blocks.values.toarray()
        left = np.repeat(counts, blocks.sizes, axis=0) - values
        return cls(shares(left, pseudocount), np.cumsum(blocks.sizes) - blocks.sizes, blocks.sizes)

    def moments(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the mean and the variance over the blocks of each row, of values of shape (n_blocks, n).

        They are vectors: either n or the number of rows is 1.
        """
        sizes = self.sizes[:, np.newaxis]
        mean = np.add.reduceat(values, self.starts, axis=0) / sizes
        squares = (values - np.repeat(mean, self.sizes, axis=0)) ** 2
        return mean.ravel(), (np.add.reduceat(squares, self.starts, axis=0) / sizes).ravel()


def shares(counts: FloatArray, pseudocount: float) -> FloatArray:
    """Return counts with a pseudocount as distributions."""
    rows: FloatArray = (counts + pseudocount) / (counts.sum(axis=-1, keepdims=True) + pseudocount * counts.shape[-1])
    return rows


def sums_of_blocks(divergence: Divergence, p: FloatArray, q: FloatArray, of_p: Deleted, of_q: Deleted) -> Sums:
    """Return the sums for one distribution p, of shape (1, n_bins), and each of the q, by deleting each block."""
    with np.errstate(all="ignore"):
        total = divergence.term(p, q).sum(axis=-1)
        without_x = divergence.term(of_p.rows[:, np.newaxis], q).sum(axis=-1)
        without_y = divergence.term(p, of_q.rows).sum(axis=-1)[:, np.newaxis]
        bias, variance, value_variance = (np.zeros(total.shape) for _ in range(3))
        for sums, deleted in ((without_x, of_p), (without_y, of_q)):
            mean, spread = deleted.moments(sums)
            left = deleted.sizes - 1
            bias = bias + left * (mean - total)
            variance = variance + left * spread
            value_variance = value_variance + left * deleted.moments(divergence.finish(sums))[1]
    return _where_finite(Sums(total, bias, variance, value_variance, np.full(total.shape, np.inf)))
