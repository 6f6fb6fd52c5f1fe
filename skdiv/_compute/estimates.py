"""Estimates of divergences between rows of counts, with their errors, for a tile of a matrix or in pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from skdiv._compute.exchange import mean_of_blocks, mean_of_counts
from skdiv._compute.jackknife import Deleted, Sums, shares, sums_of_blocks, sums_of_counts
from skdiv._compute.noncentral import limits
from skdiv._compute.tiles import Tile
from skdiv._divergences.record import Divergence
from skdiv._divergences.terms import Term
from skdiv._input.blocks import Blocks
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray

N_LAYERS = 6  # of a result: estimate, corrected, standard error, lower and upper limit, and 1 if the counts are too few

_CELL = 2**15  # the number of entries of rows that are evaluated at a time
_FEWEST_BLOCKS = 6
FEW_IN_BIN = 5  # observations of a row, which do not tell how much a steep term is off; measured there too
FEWEST_EFFECTIVE = 10  # observations that decide about a sum; measured by benchmarks/intervals.py
UNEQUAL, FEWEST_OF_UNEQUAL = (
    10,
    1000,
)  # a row that has so many times the other's observations knows rare bins of its own


@dataclass(frozen=True)
class Sample:
    """Rows of counts, and the blocks that they are the sums of if the observations are not independent."""

    counts: Distributions
    blocks: Blocks | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.counts)

    def __getitem__(self, rows: slice) -> Sample:
        """Return some of the rows, with their blocks."""
        blocks = None if self.blocks is None else self.blocks.of(np.arange(len(self))[rows])
        return Sample(self.counts[rows], blocks)


@dataclass(frozen=True)
class Estimator:
    """How estimates are made.

    Parameters
    ----------
    divergence : Divergence
        The divergence.
    scale : float
        The number by which its values in nats are divided.
    level : float
        The confidence level.
    pseudocount : float
        The number that is added to every count.
    """

    divergence: Divergence
    scale: float
    level: float
    pseudocount: float

    def fewest(self) -> tuple[int, int]:
        """Return how many observations a row needs for each bin, and how many in any case, for limits that hold.

        These are measured by benchmarks/intervals.py.
        """
        return (20, 1000) if self.is_steep() else (5, 100)

    def is_steep(self) -> bool:
        """Return whether the terms rise so steeply at 0 that bins of few counts may hide much of the divergence."""
        return is_steep(self.divergence.term)

    def tile(self, P: Sample, Q: Sample, tile: Tile) -> FloatArray:
        """Return the layers of a tile, of shape (N_LAYERS, n_P, n_Q); of a symmetric matrix only above the diagonal."""
        layers = np.zeros((N_LAYERS, len(P), len(Q)))
        upper = tile.diagonal is not None and self.divergence.symmetric
        step = max(1, _CELL // P.counts.shape[1])
        found = [
            self._found(P[i : i + 1], Q[start : min(start + step, len(Q))])
            for i in range(len(P))
            for start in range(i + 1 if upper else 0, len(Q), step)
        ]
        if found:
            asked = np.triu(np.ones(layers.shape[1:], dtype=bool), 1 if upper else -len(P))
            layers[:, asked] = self._layers(np.hstack(found))
        return layers

    def pairs(self, P: Sample, Q: Sample) -> FloatArray:
        """Return the layers of the pairs of rows with the same position, of shape (N_LAYERS, n)."""
        if P.blocks is None:
            return self._layers(self._found(P, Q))
        return self._layers(np.hstack([self._found(P[i : i + 1], Q[i : i + 1]) for i in range(len(P))]))

    def _found(self, P: Sample, Q: Sample) -> FloatArray:
        """Return what the layers are made of, for the pairs of one row and each of some rows, or of as many rows.

        The latter is without blocks alone. Its rows are the fields of `Sums`, the means of the sums when observations
        are exchanged, the numbers of bins with mass, the quantiles that the limits are apart from the sums, 1 if the
        counts are too few, and 1 if the divergence may be infinite in truth.
        """
        x, y = P.counts.dense(), Q.counts.dense()
        quantile = np.full(len(y), norm.isf((1 - self.level) / 2))
        few, unknown = self._are_few(x, y), self._are_unknown(x, y)
        if P.blocks is not None and Q.blocks is not None:
            least = np.minimum(P.blocks.sizes, Q.blocks.sizes)
            few |= least < _FEWEST_BLOCKS
            quantile = student.isf((1 - self.level) / 2, least - 1)
            p, q = shares(x, self.pseudocount), shares(y, self.pseudocount)
            of_p, of_q = Deleted.of(x, P.blocks, self.pseudocount), Deleted.of(y, Q.blocks, self.pseudocount)
            sums = sums_of_blocks(self.divergence, p, q, of_p, of_q)
            exchanged = mean_of_blocks(self.divergence, P.blocks, Q.blocks, self.pseudocount)
        else:
            if not self.pseudocount:  # Bins that are empty in all rows add nothing.
                used = (x > 0).any(axis=0) | (y > 0).any(axis=0)
                x, y = x[:, used], y[:, used]
            sums = sums_of_counts(self.divergence, x, y, self.pseudocount)
            exchanged = mean_of_counts(self.divergence, x, y, self.pseudocount)
        few |= (sums.n_effective < FEWEST_EFFECTIVE) | self._hang_on_one_bin(x, y)
        return np.vstack([*sums, exchanged, np.count_nonzero(x + y, axis=1), quantile, few, unknown])

    def _layers(self, found: FloatArray) -> FloatArray:
        """Return the layers of pairs from what has been found for them; all at once, for a limit takes many steps."""
        *of_sums, exchanged, n_bins, quantile, few, unknown = found
        sums = Sums(*of_sums)
        *values, low, high = self._values(sums, limits(*sums[:3], n_bins, quantile, exchanged))
        high = np.where(unknown, np.inf, high)
        return np.vstack([*values, low, high, (few > 0) | (low == high)])

    def _hang_on_one_bin(self, x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
        """Return for which pairs a bin of few counts makes most of a sum whose terms are steep where counts are few."""
        if not self.is_steep():
            return np.zeros(len(y), dtype=bool)
        with np.errstate(all="ignore"):
            terms = self.divergence.term(shares(x, self.pseudocount), shares(y, self.pseudocount))
        of_few = np.where(np.minimum(x, y) < FEW_IN_BIN, terms, 0)
        most: NDArray[np.bool_] = of_few.max(axis=1) > terms.sum(axis=1) / 2
        return most

    def _are_unknown(self, x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
        """Return for which pairs a pseudocount alone makes the divergence finite, so that its truth may be infinite."""
        if not self.pseudocount:
            return np.zeros(len(y), dtype=bool)
        with np.errstate(all="ignore"):
            sums = self.divergence.term(shares(x, 0), shares(y, 0)).sum(axis=-1)
            infinite: NDArray[np.bool_] = np.isinf(self.divergence.finish(sums))
        return infinite

    def _are_few(self, x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
        """Return for which pairs a row has too few observations, for the bins where one of the two has mass."""
        of_bin, at_least = self.fewest()
        one, other = x.sum(axis=1), y.sum(axis=1)
        observations = np.minimum(one, other)
        least = np.where(np.maximum(one, other) >= UNEQUAL * observations, FEWEST_OF_UNEQUAL, at_least)
        few: NDArray[np.bool_] = observations < np.maximum(of_bin * np.count_nonzero(x + y, axis=1), least)
        return few

    def _values(self, sums: Sums, of_sums: tuple[FloatArray, FloatArray]) -> list[FloatArray]:
        """Return the values of sums: estimate, corrected, standard error and limits.

        What lies outside of the range of the divergence, below 0 or above the bound, is moved to its end.
        """
        corrected = np.maximum(sums.total - sums.bias, 0)
        with np.errstate(all="ignore"):
            estimate, unbiased, *ends = map(self.divergence.finish, (sums.total, corrected, *of_sums))
        low, high = np.minimum(*ends), np.maximum(*ends)
        values = [estimate, *(np.minimum(each, self.divergence.bound) for each in (unbiased, low, high))]
        estimate, unbiased, low, high = (self.divergence._checked(each) / self.scale for each in values)
        return [estimate, unbiased, np.sqrt(sums.value_variance) / self.scale, low, high]


def is_kinked(term: Term) -> bool:
    """Return whether a term has a kink where p = q, as abs(p − q) has: no jackknife tells how much it varies there."""
    p = np.array([0.3])
    bends = [float((term(p + h, p) + term(p - h, p) - 2 * term(p, p))[0]) for h in (1e-3, 1e-4)]
    return abs(bends[1]) > abs(bends[0]) / 30  # A tenth of the step gives a tenth of a kink, a hundredth of a bend.


def is_steep(term: Term) -> bool:
    """Return whether a term has an infinite slope at p = 0 or q = 0, as √p has, beyond that of a logarithm.

    A bin that few observations reach, or none, then adds more than can be told from them.
    """
    one = np.array([0.5])
    with np.errstate(all="ignore"):
        for swapped in (False, True):
            rises = []
            for h in (0.0, 1e-4, 1e-8):
                pair = np.array([h]), one
                rises.append(float(term(*(pair[::-1] if swapped else pair))[0]))
            slopes = [abs(rises[0] - each) / h for each, h in zip(rises[1:], (1e-4, 1e-8), strict=True)]
            if np.isfinite(slopes).all() and slopes[1] > 4 * slopes[0]:
                return True
    return False
