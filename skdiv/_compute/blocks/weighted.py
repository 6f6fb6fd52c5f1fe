"""Costs of merging weighted rows: the Jensen-Shannon divergence of two, weighted by their masses, times both masses.

Clusters of masses v, w and sums of rows a, b (mass times mean distribution) lose, when merged into one,

    v KL(a/v ‖ c) + w KL(b/w ‖ c) = v ln((v + w)/v) + w ln((v + w)/w) − sum of g(a, b) − g(a, 0) − g(0, b),

c = (a + b)/(v + w), g(a, b) = (a + b) ln(a + b): twice the overlap that the kernels of Jensen-Shannon evaluate.
"""

from __future__ import annotations

import numpy as np

from skdiv._compute.blocks.pairs import pair_overlaps
from skdiv._compute.blocks.termwise import labels_of_equal_rows, weighted_of_pairs
from skdiv._compute.kernels import KernelName, PairKernel, load
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray, Places

INACCURATE = 1e-5  # of what is summed: the digits of a lower cost would show rounding, so it is summed again
_EPS = float(np.finfo(np.float64).eps)


def merge_costs(
    P: Distributions, Q: Distributions, i: Places, j: Places, v: FloatArray, w: FloatArray, kernel: PairKernel,
    n_members: FloatArray | float = 2,
) -> FloatArray:  # fmt: skip
    """Return the information lost when the sum P[i[k]], of mass v[k], is merged with Q[j[k]], of mass w[k].

    It is made of terms that are never negative. It is 0 where it is no more than equal rows of so many ``n_members``
    would lose for having been rounded apart.
    """
    costs: FloatArray = (v + w) * weighted_of_pairs(P, Q, i, j, v, w, kernel)
    # Rows whose entries differ by a relative δ lose at most δ² / 2 of the smaller mass. Two rows, divided by their sums
    # and weighted, may differ by four units in the last place, and each member added to them by half a unit more.
    apart = _EPS * (3 + n_members / 2)
    return np.where(costs > apart**2 / 2 * np.minimum(v, w), costs, 0)


def fast_costs(v: FloatArray, w: FloatArray, overlaps: FloatArray) -> FloatArray:
    log_of_both = np.log(v + w)
    costs: FloatArray = v * (log_of_both - np.log(v)) + w * (log_of_both - np.log(w)) - 2 * overlaps
    return costs


def size_of_sums(both: FloatArray, n_bins: int) -> FloatArray:
    """The size of the sums whose difference a fast cost is, to which its rounding is in proportion.

    A mass far from one has large logarithms, which cancel.
    """
    sizes: FloatArray = both * (1 + np.log(n_bins) + np.abs(np.log(both)))
    return sizes


def pair_costs(
    P: Distributions, Q: Distributions, of_p: FloatArray, of_q: FloatArray, kernel: KernelName, *, upper: bool,
    accurate_below: float = INACCURATE,
) -> FloatArray:  # fmt: skip
    """Return the costs of merging any sum in P with any in Q, of given masses; infinite with ``upper`` where j ≤ i."""
    v, w = of_p[:, np.newaxis], of_q[np.newaxis]
    costs = fast_costs(v, w, pair_overlaps("mixture", P, Q, load(kernel), upper=upper))
    if upper:
        costs[np.tri(len(P), dtype=bool)] = np.inf
    doubtful = costs < accurate_below * size_of_sums(v + w, P.shape[1])
    if np.count_nonzero(doubtful) > len(P) + len(Q):  # else rows would be compared for nothing
        labels_of_p, labels_of_q = labels_of_equal_rows(P, Q)
        equal = doubtful & (labels_of_p[:, np.newaxis] == labels_of_q) & (v == w)
        costs[equal] = 0
        doubtful &= ~equal
    i, j = np.nonzero(doubtful)
    costs[i, j] = merge_costs(P, Q, i, j, of_p[i], of_q[j], load(kernel))
    return costs
