"""Sums of terms between near duplicates, by matrix products of their deviations from a center.

For any center m the term of Kullback-Leibler is, with p − q = (p − m) − (q − m),

    term(p, q) = term(p, m) + term(m, q) − (p − m) ln(q/m).

The α-divergences, with x = (p − m)/m and y = (q − m)/m, are likewise

    term(p, q) = term(p, m) + term(m, q) + m ((1 + x)^α − 1) ((1 + y)^(1−α) − 1) / (α (α − 1)),

and so for the other divergences in product form: a term is that of p and m, that of m and q, and a product of functions
of the two deviations. Because terms are never negative, no such product is larger than the three terms. So little
cancels in the sums over the bins, unless p and q are much nearer to each other than to the center.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from skdiv._compute.blocks.termwise import digits_lost_below, rounding_of_sum
from skdiv._compute.kernels import PairKernel
from skdiv._divergences import terms
from skdiv._divergences.forms import With
from skdiv._divergences.record import Divergence
from skdiv._divergences.terms import Term
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray, Places

_MOST_BINS = 1024  # so that the deviations of all rows of a tile are a small array
_MANY = 16  # the number of near pairs for each row and column from which on products are faster than sums of terms
_ROUNDINGS = 4.0  # the rounding of a total beside that of one sum of its terms
_ERROR = 1e-13  # the relative error of a term
_ERROR_OF_ALPHA = 3e-12  # the same of an α-divergence, which is a difference where its series does not serve

OfDeviation = Callable[[FloatArray, FloatArray], FloatArray]  # of rows and the center, bin by bin


def _deviation(p: FloatArray, m: FloatArray) -> FloatArray:
    """Return p − m."""
    return p - m


def _ratio_less_one(p: FloatArray, m: FloatArray) -> FloatArray:
    """Return p/m − 1, and 0 where both are 0."""
    deviation: FloatArray = p - m
    np.divide(deviation, m, out=deviation, where=deviation != 0)
    return deviation


def _log_ratio(p: FloatArray, m: FloatArray) -> FloatArray:
    """Return ln(p/m), and 0 where both are 0."""
    x = _ratio_less_one(p, m)
    logs: FloatArray = np.log1p(x)
    far = ~(np.abs(x) < 0.5)
    if far.any():
        logs[far] = np.log((p / m)[far])
    return logs


def _deviation_of_roots(p: FloatArray, m: FloatArray) -> FloatArray:
    """Return √p − √m, without the subtraction, which would lose digits."""
    deviation: FloatArray = p - m
    np.divide(deviation, np.sqrt(p) + np.sqrt(m), out=deviation, where=deviation != 0)
    return deviation


def _power_less_one(p: FloatArray, m: FloatArray, exponent: float) -> FloatArray:
    """Return (p/m)^exponent − 1."""
    powers: FloatArray = np.expm1(exponent * _log_ratio(p, m))
    return powers


# For each term the pairs of functions of which the products are added: of p and the center, of q and the center.
_FACTORS: dict[Term, tuple[tuple[OfDeviation, OfDeviation], ...]] = {
    terms.kl: ((_deviation, lambda q, m: -_log_ratio(q, m)),),
    terms.jeffreys: (
        (_deviation, lambda q, m: -_log_ratio(q, m)),
        (_log_ratio, lambda q, m: m - q),
    ),
    terms.squared_hellinger: ((_deviation_of_roots, lambda q, m: -_deviation_of_roots(q, m)),),
    terms.chi2: ((lambda p, m: _ratio_less_one(p, m) * (p + m), lambda q, m: _ratio_less_one(m, q)),),
}


def _factors(term: Term) -> tuple[tuple[OfDeviation, OfDeviation], ...] | None:
    """Return the pairs of functions for a term, or None where there are none."""
    if not (isinstance(term, With) and term.function is terms.alpha_divergence):
        return _FACTORS.get(term)
    alpha = term.argument
    return (
        (
            lambda p, m: m * _power_less_one(p, m, alpha) / alpha,
            lambda q, m: _power_less_one(q, m, 1 - alpha) / (alpha - 1),
        ),
    )


class Group(NamedTuple):
    """Some rows and columns that are near each other, the sums of terms of all pairs, and which of them are accurate.

    The other sums may be anything.
    """

    rows: Places
    columns: Places
    sums: FloatArray
    accurate: NDArray[np.bool_]


def centered_sums(
    divergence: Divergence, P: Distributions, Q: Distributions, near: NDArray[np.bool_], kernel: PairKernel
) -> Iterator[Group]:
    """Yield groups of rows of P and Q that are near each other, each with one row of P for its center.

    There are none for other divergences, for sparse rows, for very many bins, and where few are near.
    """
    factors = _factors(divergence.term)
    if factors is None or sp.issparse(P.values) or sp.issparse(Q.values) or P.shape[1] > _MOST_BINS:
        return
    if not _are_many(int(np.count_nonzero(near)), *near.shape):
        return
    error = _ROUNDINGS * rounding_of_sum(P.shape[1], np.dtype(np.float64))
    error += _ERROR if divergence.term in _FACTORS else _ERROR_OF_ALPHA
    for rows, columns in _groups(near):
        if not _are_many(len(rows) * len(columns), len(rows), len(columns)):
            continue
        p, q = (some.values[places].astype(np.float64, copy=False) for some, places in ((P, rows), (Q, columns)))
        center = p[[len(p) // 2]]
        with np.errstate(all="ignore"):  # of what is infinite or NaN, and computed again by its terms
            sums = _sums_of_terms(divergence.term, p, center, kernel)[:, np.newaxis]
            sums = sums + _sums_of_terms(divergence.term, center, q, kernel)
            limits = digits_lost_below(error, P.dtype, 1.0) * sums
            for left, right in factors:
                sums += left(p, center) @ right(q, center).T
            accurate = sums >= limits
        yield Group(rows, columns, sums, accurate)


def _are_many(n_pairs: int, n_rows: int, n_columns: int) -> bool:
    """Return whether so many near pairs are many for the number of rows and columns."""
    return n_pairs >= _MANY * (n_rows + n_columns)


def _groups(near: NDArray[np.bool_]) -> Iterator[tuple[Places, Places]]:
    """Yield the rows and the columns of each group of what is near each other, directly or by way of others.

    A pair may be near although its row and its column are in two groups, but seldom: to be fast, this only looks at the
    first row that is near each column and, of other rows, at the first column that is near them.
    """
    leaders = np.unique(near.argmax(axis=0))
    i, j = np.nonzero(near[leaders])
    n_columns = near.shape[1]
    graph = sp.coo_array((np.ones(len(i)), (n_columns + i, j)), shape=(n_columns + len(leaders),) * 2)
    of_columns = connected_components(graph, directed=False)[1][:n_columns]
    first = near.argmax(axis=1)
    of_rows = np.where(near[np.arange(len(near)), first], of_columns[first], -1)
    for label in np.unique(of_rows[of_rows >= 0]):
        yield np.flatnonzero(of_rows == label), np.flatnonzero(of_columns == label)


def _sums_of_terms(term: Term, p: FloatArray, q: FloatArray, kernel: PairKernel) -> FloatArray:
    """Return the sums of the terms of each row of p and that of q, or of that of p and each row of q."""
    i, j = np.divmod(np.arange(len(p) * len(q)), len(q))
    sums = kernel.term_sums(term, Distributions(p), Distributions(q), i, j)
    return term(p, q).sum(axis=1) if sums is None else sums
