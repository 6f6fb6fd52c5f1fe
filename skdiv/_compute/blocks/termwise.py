"""Divergences of single pairs of rows, summed term by term: accurate wherever the fast forms are not.

The terms are never negative, so their sum has the relative accuracy of a term. A pair of sparse rows costs what the two
store, and a pair of equal rows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._compute.kernels import PairKernel
from skdiv._divergences.record import Divergence
from skdiv._divergences.terms import weighted_jensen_shannon
from skdiv._input.distributions import Distributions
from skdiv._utils.typing import FloatArray, Places

_TILE = 128  # the largest number of rows and columns of a tile
_DENSE_BLOCK = 2**18  # the largest number of entries of sparse rows that are made dense for a tile
_LANES = 16  # single-precision numbers in a register; the number of rows of a tile is a multiple
_NANOSECONDS = 30.0  # the time of one term, roughly
_CELL = 65_536  # the largest number of entries of a temporary array of terms
_RELATIVE = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-3}  # the relative errors that a fast form may have
_OWN_ROUNDING = 8.0  # how many roundings a term has undergone before it is added to the sum


@dataclass(frozen=True)
class TermBlocks:
    """Blocks of a divergence that has no fast form: all of its terms are evaluated and summed."""

    divergence: Divergence
    form: None = None
    blas_bound: ClassVar[bool] = False

    def tile_shape(self, P: Distributions, Q: Distributions, *, square: bool) -> tuple[int, int]:  # noqa: ARG002
        """Return the shape of a tile of moderate size, whose rows have few enough entries to be made dense."""
        most = max(1, min(_TILE, _DENSE_BLOCK // P.shape[1]))
        return evenly(len(P), most), evenly(len(Q), most)

    def nanoseconds(self, P: Distributions, Q: Distributions) -> float:
        """Return roughly how long all the terms take."""
        return _NANOSECONDS * len(P) * len(Q) * P.shape[1]

    def block(
        self, P: Distributions, Q: Distributions, diagonal: int | None, kernel: PairKernel, out: FloatArray | None
    ) -> FloatArray:
        """Return D(P[i] ‖ Q[j]) in nats for all pairs, in a new array."""
        del diagonal, out
        i, j = np.divmod(np.arange(len(P) * len(Q)), len(Q))
        return of_pairs(self.divergence, P, Q, i, j, kernel, small=False).reshape(len(P), len(Q))


def evenly(n: int, most: int) -> int:
    """Return a tile size up to ``most`` that cuts n rows into nearly equal tiles, so that all workers end together."""
    even = -(-n // -(-n // most))
    return -(-even // _LANES) * _LANES if most >= _LANES else even


def few_rows(n: int, n_bins: int) -> Iterator[slice]:
    """Cut n rows of so many bins into slices of at most about `_CELL` entries, for a temporary array."""
    step = max(1, _CELL // n_bins)
    return (slice(start, start + step) for start in range(0, n, step))


def of_pairs(
    divergence: Divergence, P: Distributions, Q: Distributions, i: Places, j: Places, kernel: PairKernel, *, small: bool
) -> FloatArray:
    """Return D(P[i[k]] ‖ Q[j[k]]) in nats for each k, from all of its terms.

    ``small`` says that all these values are known to be far below one nat. A divergence then need not be computed by
    its ``rows``, which are for large values: ``finish`` of the sum of terms is accurate, and faster.
    """
    if sp.issparse(P.values) != sp.issparse(Q.values):
        return _of_pairs_in_two_storages(divergence, P, Q, i, j, kernel, small=small)
    if divergence.rows is None or small:
        sums = kernel.term_sums(divergence.term, P, Q, i, j)
        if sums is not None:
            return in_precision(divergence._checked(divergence.finish(sums)), P.dtype)
    values = np.empty(len(i), dtype=P.dtype)
    for some, p, q in pair_rows(P, Q, i, j, together=divergence.fast is not None):
        values[some] = in_precision(divergence._of_rows(p, q), P.dtype)
    return values


def in_precision(values: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    """Return the values in a dtype; those beyond the range of single precision become infinite."""
    with np.errstate(over="ignore"):
        return values.astype(dtype, copy=False)


def _of_pairs_in_two_storages(
    divergence: Divergence, P: Distributions, Q: Distributions, i: Places, j: Places, kernel: PairKernel, *, small: bool
) -> FloatArray:
    """Do what `of_pairs` does for one dense and one sparse collection; the latter is made dense in parts."""
    values = np.empty(len(i), dtype=P.dtype)
    for some in few_rows(len(i), P.shape[1]):
        left, right = (Distributions(rows[places[some]].dense()) for rows, places in ((P, i), (Q, j)))
        places = np.arange(len(left))
        values[some] = of_pairs(divergence, left, right, places, places, kernel, small=small)
    return values


def weighted_of_pairs(
    P: Distributions, Q: Distributions, i: Places, j: Places, v: FloatArray, w: FloatArray, kernel: PairKernel
) -> FloatArray:
    """Return for each k the Jensen-Shannon divergence of P[i[k]] / v[k] and Q[j[k]] / w[k], weighted by v[k], w[k]."""
    sums = kernel.weighted_term_sums(P, Q, i, j, v, w)
    if sums is not None:
        return sums
    sums = np.empty(len(i))
    for some, p, q in pair_rows(P, Q, i, j):
        of_p, of_q = v[some, np.newaxis], w[some, np.newaxis]
        shares = of_p / (of_p + of_q), of_q / (of_p + of_q)
        sums[some] = weighted_jensen_shannon(p / of_p, q / of_q, *shares).sum(axis=-1)
    return sums


# --- Pairs of rows side by side ---


def pair_rows(
    P: Distributions, Q: Distributions, i: Places, j: Places, *, together: bool = True
) -> Iterator[tuple[Any, FloatArray, FloatArray]]:
    """Yield some positions k, and the rows P[i[k]] and Q[j[k]] in double precision, until all pairs have been yielded.

    Two sparse rows come with those bins alone that one of them stores. ``together`` says how bins with a background
    are treated, in which each row holds the same number throughout: they are added to one more bin. This does not
    change the sum of a term that is homogeneous, term(c p, c q) = c term(p, q), as those of all fast forms are. If
    the term may not be homogeneous, rows with a background have to be made dense.
    """
    if sp.issparse(P.values) and sp.issparse(Q.values) and (together or P.background is None):
        yield from _sparse_pair_rows(P, Q, i, j)
        return
    for some in few_rows(len(i), P.shape[1]):
        p, q = (rows[places[some]].dense().astype(np.float64, copy=False) for rows, places in ((P, i), (Q, j)))
        yield some, p, q


def _sparse_pair_rows(
    P: Distributions, Q: Distributions, i: Places, j: Places
) -> Iterator[tuple[Places, FloatArray, FloatArray]]:
    """Do what `pair_rows` does for sparse rows.

    Pairs with about as many stored entries come together, because all pairs of an array are filled up with zeros to
    the length of the longest.
    """
    lengths = np.diff(P.values.indptr)[i] + np.diff(Q.values.indptr)[j]
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        step = max(1, _CELL // max(1, int(lengths[order[start]])))
        some = order[start : start + step]
        yield some, *_in_met_bins(P[i[some]], Q[j[some]])
        start += step


def _in_met_bins(P: Distributions, Q: Distributions) -> tuple[FloatArray, FloatArray]:
    """Return two dense arrays with row k of P and row k of Q, in the bins that one of the two rows stores.

    The bins of each pair are moved together to the left, and the rest is filled up with zeros. With a background, the
    last column is the sum of all bins that neither row stores.
    """
    # The sum of two sparse matrices has the entries of both; complex numbers keep those of P and Q apart.
    met = (P.values.astype(np.complex128) + 1j * Q.values.astype(np.complex128)).tocsr()
    lengths = np.diff(met.indptr)
    is_bin = np.arange(lengths.max(initial=0)) < lengths[:, np.newaxis]
    p, q = np.zeros((2, *is_bin.shape))
    p[is_bin], q[is_bin] = met.data.real, met.data.imag
    if P.background is None or Q.background is None:
        return p, q
    others = (P.shape[1] - lengths)[:, np.newaxis]
    empty = tuple(rows.background.astype(np.float64) for rows in (P, Q))  # type: ignore[union-attr]
    p, q = (np.where(is_bin & (each == 0), of_empty, each) for each, of_empty in zip((p, q), empty, strict=True))
    return np.hstack([p, others * empty[0]]), np.hstack([q, others * empty[1]])


# --- Equal rows ---


def labels_of_equal_rows(P: Distributions, Q: Distributions) -> tuple[Places, Places]:
    """Return a label for each row of P and of Q, such that rows with the same label are equal to the bit.

    Rows with the same fingerprint are compared with the first of them; a row that differs from it gets a label of its
    own, so that equal rows may, in the rarest of cases, have two labels.
    """
    numbers = np.concatenate([P.once(_fingerprints), Q.once(_fingerprints)])
    _, first, labels = np.unique(numbers, return_index=True, return_inverse=True)
    n, places = len(P), np.arange(len(numbers))
    differ = np.zeros(len(numbers), dtype=bool)
    for rows, some in ((P, slice(0, n)), (Q, slice(n, None))):
        for others, others_start, of_others in ((P, 0, first < n), (Q, n, first >= n)):
            asked = np.flatnonzero(of_others[labels[some]] & (first[labels[some]] != places[some]))
            representatives = first[labels[some]][asked] - others_start
            differ[places[some][asked]] = ~_equal_rows(rows, others, asked, representatives)
    labels = np.where(differ, len(numbers) + places, labels)
    return labels[:n], labels[n:]


def _fingerprints(values: Any) -> NDArray[np.uint64]:
    """Return one integer for each row: the sum modulo 2**64 of each entry's bits times an odd number for its bin."""
    data = values.data if sp.issparse(values) else np.ascontiguousarray(values)
    bits = data.view(np.uint64 if data.dtype == np.float64 else np.uint32).astype(np.uint64, copy=False)
    if not sp.issparse(values):
        return np.asarray(np.vecdot(bits, _odd_numbers(np.arange(values.shape[1]))))
    sums = np.append(np.uint64(0), np.cumsum(bits * _odd_numbers(values.indices)))
    return np.asarray(sums[values.indptr[1:]] - sums[values.indptr[:-1]])


def _odd_numbers(bins: Places) -> NDArray[np.uint64]:
    """Return a well mixed odd number for each bin: the output of SplitMix64 (Steele, Lea & Flood 2014)."""
    z = (bins.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) | np.uint64(1)


def _equal_rows(P: Distributions, Q: Distributions, i: Places, j: Places) -> NDArray[np.bool_]:
    """Return for each k whether P[i[k]] and Q[j[k]] are equal to the bit."""
    equal = np.zeros(len(i), dtype=bool)
    for some, p, q in pair_rows(P, Q, i, j):
        equal[some] = (p == q).all(axis=1)
    return equal


# --- Values in which the sums of a fast form have cancelled ---


def spread(rows: Distributions, unit: float) -> FloatArray:
    """Return for each row about how large the sum over the bins of p abs(ln(unit p)) is: the size of what cancels.

    It is about 1 for rows that are nearly uniform over ``unit`` bins, and grows as they concentrate on few. The sum of
    p ln(unit p) is at most ln(unit sum p²), by Jensen's inequality, which is what is computed here.
    """
    squares = rows.once(_sums_of_squares)
    if rows.background is not None:
        squares = squares + rows.background[:, 0]  # which is at least the sum of squares over the bins not stored
    bound: FloatArray = 1 + np.abs(np.log(unit * squares))
    return bound


def _sums_of_squares(values: Any) -> FloatArray:
    """Return the sum of the squares of the entries of each row, dense or CSR."""
    if not sp.issparse(values):
        sums: FloatArray = np.vecdot(values, values).astype(np.float64)
        return sums
    squares = sp.csr_array(
        (np.square(values.data, dtype=np.float64), values.indices, values.indptr), shape=values.shape
    )
    return np.asarray(squares.sum(axis=1))


def rounding_of_sum(n_terms: float, dtype: np.dtype[Any]) -> float:
    """Return a bound of the relative error of a sum of so many terms of one sign, added one after another."""
    return (n_terms + _OWN_ROUNDING) * float(np.finfo(dtype).eps) / 2


def digits_lost_below(error: Any, dtype: np.dtype[Any], power: float) -> Any:
    """Return the value below which a fast form is not accurate enough.

    The value is the given power of a quantity with this absolute error; where the quantity is below error / `_RELATIVE`
    its relative error may be more than `_RELATIVE`.
    """
    return (error / _RELATIVE[dtype]) ** power


@dataclass(frozen=True)
class Refinement:
    """Computes those entries of a block again, term by term, for which a fast form is not accurate enough.

    The block holds D(P[i] ‖ Q[j]), and ``diagonal`` is what it is for `skdiv._compute.blocks.Blocks.block`.
    """

    divergence: Divergence
    P: Distributions
    Q: Distributions
    diagonal: int | None
    kernel: PairKernel

    def apply(self, values: FloatArray, *, below: Any, lost: NDArray[np.bool_] | None = None) -> None:
        """Replace, in place, the values that the fast form has not computed accurately; a row and itself get 0.

        These are the values less than ``below``, which is one number or a column of one for each row of P. ``lost``
        marks entries, which may be large, that the fast form could not compute at all.
        """
        itself = self._pairs_of_a_row_with_itself()
        values[itself] = np.inf  # so that they are not computed again
        if lost is not None:
            lost[itself] = False
            values[lost] = np.inf  # for some may be NaN, with which the least value is NaN
        if values.min() < np.max(below):
            small = values < below
            if lost is not None:
                small &= ~lost
            self._compute(values, small, small=True)
        if lost is not None and lost.any():
            self._compute(values, lost, small=False)
        values[itself] = 0

    def _pairs_of_a_row_with_itself(self) -> tuple[Places, Places]:
        """Return the rows and the columns of the block at which a distribution meets itself."""
        if self.diagonal is None:
            return np.arange(0), np.arange(0)
        rows = np.arange(max(0, -self.diagonal), min(len(self.P), len(self.Q) - self.diagonal))
        return rows, rows + self.diagonal

    def _compute(self, values: FloatArray, wanted: NDArray[np.bool_], *, small: bool) -> None:
        """Compute the wanted values, in place; ``small`` is what it is for `of_pairs`.

        For rows with themselves and a symmetric divergence only those above the diagonal are computed.
        """
        if self.diagonal is not None and self.divergence.symmetric:
            wanted = np.triu(wanted, self.diagonal)
        if np.count_nonzero(wanted) > len(self.P) + len(self.Q):  # With fewer it takes longer to look for equal rows.
            of_p, of_q = labels_of_equal_rows(self.P, self.Q)
            equal = of_p[:, np.newaxis] == of_q
            values[wanted & equal] = 0
            wanted = wanted & ~equal
        i, j = np.nonzero(wanted)
        if len(i):
            values[i, j] = of_pairs(self.divergence, self.P, self.Q, i, j, self.kernel, small=small)
