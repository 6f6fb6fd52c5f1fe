"""The information that is lost when two clusters of rows are merged into one.

A cluster of mass v is given by the sum a of its rows: v times its mean distribution. Merging the clusters v, a and w, b
into one, whose mean is c = (a + b)/(v + w), costs

    v KL(a/v ‖ c) + w KL(b/w ‖ c),

which is v + w times the Jensen-Shannon divergence of a/v and b/w with weights v and w. The first term of the sum is
sum a ln(a/v) − a ln((a + b)/(v + w)). With g(a, b) = (a + b) ln(a + b), and since a sums to v and b to w, the cost is

    v ln((v + w)/v) + w ln((v + w)/w) − sum over the bins of g(a, b) − g(a, 0) − g(0, b),

where the last sum is twice the overlap of a and b that the kernels compute for the pair "mixture".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skdiv._compute.blocks.pairs import pair_overlaps
from skdiv._compute.blocks.termwise import labels_of_equal_rows, rounding_of_sum, weighted_of_pairs
from skdiv._compute.kernels import KernelName, PairKernel, load
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray, Places

# Relative to `size_of_sums`: a lower cost is computed from its terms; compiled logarithms err by 3.4e-14 in the sums.
_INACCURATE = 3.5e-5
_DOUBTFUL = 1e-10  # relative to `size_of_sums`: rounding might change the order of lower costs
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class WeightedRows:
    """A collection of clusters: the sum of the rows of each, and its mass."""

    sums: Distributions
    masses: FloatArray

    def __len__(self) -> int:
        """Return the number of clusters."""
        return len(self.masses)

    def __getitem__(self, some: slice) -> WeightedRows:
        """Return some of the clusters."""
        return WeightedRows(self.sums[some], self.masses[some])


def merge_costs(
    P: WeightedRows, Q: WeightedRows, i: Places, j: Places, kernel: PairKernel, n_members: FloatArray | float = 2
) -> FloatArray:
    """Return for each k the information lost when the clusters P[i[k]] and Q[j[k]] are merged, from all of its terms.

    ``n_members`` is the number of rows that each merged cluster has. Rounding may have made equal rows different; a
    cost that is no more than so many equal rows may lose in this way is 0.
    """
    v, w = P.masses[i], Q.masses[j]
    costs: FloatArray = (v + w) * weighted_of_pairs(P.sums, Q.sums, i, j, v, w, kernel)
    # Rows whose entries differ by a relative δ lose at most δ² / 2 times the smaller mass.
    return np.where(costs > rounding_of_mean(n_members) ** 2 / 2 * np.minimum(v, w), costs, 0)


def rounding_of_mean(n_members: FloatArray | float) -> Any:
    """Return by which relative difference of their entries equal rows may seem to differ from their mean.

    Two equal rows that were divided by their sums and multiplied by their masses may differ by four units in the last
    place, and by half a unit more for each member that has been added to them.
    """
    return _EPS * (3 + n_members / 2)


def fast_costs(v: FloatArray, w: FloatArray, overlaps: FloatArray) -> FloatArray:
    """Return the costs of merging clusters of masses v and w from their overlaps, with an absolute rounding error."""
    log_of_both = np.log(v + w)
    costs: FloatArray = v * (log_of_both - np.log(v)) + w * (log_of_both - np.log(w)) - 2 * overlaps
    return costs


def size_of_sums(both: FloatArray, n_bins: int) -> FloatArray:
    """Return how large the sums are whose difference is a fast cost: its rounding error is in proportion to them.

    ``both`` is the mass of both clusters. A mass far from one has large logarithms, which cancel.
    """
    sizes: FloatArray = both * (1 + np.log(n_bins) + np.abs(np.log(both)))
    return sizes


def inaccurate_below(both: FloatArray, n_bins: int) -> FloatArray:
    """Return below which value a fast cost has lost digits, so that it is computed from its terms to be reported."""
    rounding = rounding_of_sum(n_bins, np.dtype(np.float64))  # the kernels add up to all bins one after another
    return max(_INACCURATE, rounding / 1e-9) * size_of_sums(both, n_bins)


def doubtful_below(both: FloatArray, n_bins: int) -> FloatArray:
    """Return below which value fast costs may be in the wrong order, so that they are computed from their terms."""
    rounding = rounding_of_sum(n_bins, np.dtype(np.float64))
    return max(_DOUBTFUL, 4 * rounding) * size_of_sums(both, n_bins)


def pair_costs(
    P: WeightedRows,
    Q: WeightedRows,
    kernel: KernelName,
    *,
    upper: bool,
    below: Callable[[FloatArray, int], FloatArray] = inaccurate_below,
) -> FloatArray:
    """Return the matrix of the costs of merging cluster P[i] with cluster Q[j].

    Costs ``below`` a value, a function of the mass of both and of the number of bins, are computed from their terms.
    ``upper`` says that P and Q are the same; the costs for j ≤ i are then infinite.
    """
    v, w = P.masses[:, np.newaxis], Q.masses[np.newaxis]
    costs = fast_costs(v, w, pair_overlaps("mixture", P.sums, Q.sums, load(kernel), upper=upper))
    if upper:
        costs[np.tri(len(P), dtype=bool)] = np.inf
    doubtful = costs < below(v + w, P.sums.shape[1])
    if np.count_nonzero(doubtful) > len(P) + len(Q):  # With fewer it takes longer to look for equal rows.
        labels_of_p, labels_of_q = labels_of_equal_rows(P.sums, Q.sums)
        equal = doubtful & (labels_of_p[:, np.newaxis] == labels_of_q) & (v == w)
        costs[equal] = 0
        doubtful &= ~equal
    i, j = np.nonzero(doubtful)
    costs[i, j] = merge_costs(P, Q, i, j, load(kernel))
    return costs
