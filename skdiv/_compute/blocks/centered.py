"""Sums of terms between rows that are all near each other, by matrix products of their deviations from a center.

For any center m the sum of the terms of Kullback-Leibler is, with p − q = (p − m) − (q − m),

    KL(p ‖ q) = KL(p ‖ m) + KL(m ‖ q) − sum (p − m) ln(q/m),

and the other divergences in product form have like identities. Every sum on the right is as small as the divergences
from the center, so that little cancels unless p and q are much nearer to each other than to the center.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdiv._compute.blocks.termwise import rounding_of_sum
from skdiv._divergences import terms
from skdiv._divergences.record import Divergence
from skdiv._divergences.terms import Term
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray

_MOST_BINS = 1024  # so that the deviations of all rows of a tile are a small array
_ERROR = 4.0  # the error of a total beside the rounding of one sum of its terms

OfDeviation = Callable[[FloatArray, FloatArray], FloatArray]  # of rows and the center, bin by bin


def _deviation(p: FloatArray, m: FloatArray) -> FloatArray:
    """Return p − m."""
    return p - m


def _negated_log_ratio(q: FloatArray, m: FloatArray) -> FloatArray:
    """Return −ln(q/m), by the difference of two logarithms where q and m are far apart."""
    x = (q - m) / m
    near = np.abs(x) < 0.5
    return np.where(near, -np.log1p(np.where(near, x, 0)), np.log(m) - np.log(q))


def _deviation_of_roots(p: FloatArray, m: FloatArray) -> FloatArray:
    """Return √p − √m, without the subtraction, which would lose digits."""
    deviation: FloatArray = (p - m) / (np.sqrt(p) + np.sqrt(m))
    return deviation


def _negated(function: OfDeviation) -> OfDeviation:
    """Return the negative of a function."""
    return lambda p, m: -function(p, m)


# For each term the pairs of functions whose products are added, and whether that of p and the center is added too.
_FACTORS: dict[Term, tuple[tuple[tuple[OfDeviation, OfDeviation], ...], bool]] = {
    terms.kl: (((_deviation, _negated_log_ratio),), True),
    terms.jeffreys: (((_deviation, _negated_log_ratio), (_negated_log_ratio, _deviation)), True),
    terms.squared_hellinger: (((_deviation_of_roots, _negated(_deviation_of_roots)),), True),
    terms.chi2: (
        ((lambda p, m: np.square(p - m), lambda q, _: 1 / q), (_deviation, lambda q, m: -2 * ((q - m) / q))),
        False,
    ),
}


@dataclass(frozen=True)
class _OfRight:
    """What the rows of Q add: their mean, which is the center, their sums of terms from it, and the right factors."""

    term: Term

    def __call__(self, values: FloatArray) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        """Return these three for rows in double precision without a zero."""
        center = values.mean(axis=0)
        factors, _ = _FACTORS[self.term]
        return center, self.term(center, values).sum(axis=1), [right(values, center) for _, right in factors]


def centered_sums(divergence: Divergence, P: Distributions, Q: Distributions) -> tuple[FloatArray, FloatArray] | None:
    """Return the sums of terms of all pairs and bounds of their errors; None where there is no such form of them.

    That is so for other divergences, for sparse rows or single precision, for very many bins, and if there are zeros.
    """
    if divergence.term not in _FACTORS or not _is_for_deviations(P, Q):
        return None
    factors, has_left = _FACTORS[divergence.term]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # of entries that are computed again anyway
        center, of_right, rights = Q.once(_OfRight(divergence.term))
        of_left = divergence.term(P.values, center).sum(axis=1)[:, np.newaxis]
        sums = of_right + of_left if has_left else np.repeat(of_right[np.newaxis], len(P), axis=0)
        for (left, _), right in zip(factors, rights, strict=True):
            sums += left(P.values, center) @ right.T
        errors = _ERROR * rounding_of_sum(P.shape[1], P.dtype) * (of_left + of_right)
    return np.maximum(sums, 0, out=sums), errors


def _is_for_deviations(P: Distributions, Q: Distributions) -> bool:
    """Return whether both are dense, in double precision, of not too many bins, and have no zeros."""
    arrays: list[Any] = [P.values, Q.values]
    if any(sp.issparse(rows) or rows.dtype != np.float64 or rows.shape[1] > _MOST_BINS for rows in arrays):
        return False
    return all(bool(rows.min() > 0) for rows in arrays)
