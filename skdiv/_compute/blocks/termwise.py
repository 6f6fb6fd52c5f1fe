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

_TILE = 128  # rows and columns, at most
_DENSE_BLOCK = 2**18  # entries of a block of sparse rows made dense
_LANES = 16  # tiles are a multiple of the numbers in a register
_NANOSECONDS = 30.0  # of a term
_CELL = 65_536  # entries of a temporary array of terms
_RELATIVE = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-3}  # errors of a fast form up to here are accepted
_OWN_ROUNDING = 8.0  # roundings of a term itself, beside those of the sum


@dataclass(frozen=True)
class TermBlocks:
    """Blocks of a divergence that has no fast form, from all of its terms."""

    divergence: Divergence
    form: None = None
    blas_bound: ClassVar[bool] = False

    def tile_shape(self, P: Distributions, Q: Distributions, *, square: bool) -> tuple[int, int]:  # noqa: ARG002
        """Return the shape of a tile whose sparse rows can be made dense."""
        most = max(1, min(_TILE, _DENSE_BLOCK // P.shape[1]))
        return evenly(len(P), most), evenly(len(Q), most)

    def nanoseconds(self, P: Distributions, Q: Distributions) -> float:
        """Return the time of all terms."""
        return _NANOSECONDS * len(P) * len(Q) * P.shape[1]

    def block(
        self, P: Distributions, Q: Distributions, diagonal: int | None, kernel: PairKernel,  # noqa: ARG002
        out: FloatArray | None,  # noqa: ARG002
    ) -> FloatArray:  # fmt: skip
        """Return the sums of the terms of all pairs."""
        i, j = np.divmod(np.arange(len(P) * len(Q)), len(Q))
        return of_pairs(self.divergence, P, Q, i, j, kernel).reshape(len(P), len(Q))


def evenly(n: int, most: int) -> int:
    """Return a size at which all tiles are alike, so that the workers end together."""
    even = -(-n // -(-n // most))
    return -(-even // _LANES) * _LANES if most >= _LANES else even


def few_rows(n: int, n_bins: int) -> Iterator[slice]:
    """Cut n rows into slices whose entries are a temporary array of moderate size."""
    step = max(1, _CELL // n_bins)
    return (slice(start, start + step) for start in range(0, n, step))


def of_pairs(
    divergence: Divergence, P: Distributions, Q: Distributions, i: Places, j: Places, kernel: PairKernel, *,
    small: bool = False,
) -> FloatArray:  # fmt: skip
    """Return D(P[i[k]] ‖ Q[j[k]]) in nats for each k.

    ``small`` says that all are far below one nat, where ``finish`` of the sum of terms is accurate for all divergences.
    """
    if sp.issparse(P.values) != sp.issparse(Q.values):
        return _of_pairs_in_two_storages(divergence, P, Q, i, j, kernel, small=small)
    if divergence.rows is None or small:
        sums = kernel.term_sums(divergence.term, P, Q, i, j)
        if sums is not None:
            return divergence.checked(divergence.finish(sums)).astype(P.dtype, copy=False)
    values = np.empty(len(i), dtype=P.dtype)
    for some, p, q in pair_rows(P, Q, i, j, together=divergence.fast is not None):
        values[some] = divergence.of_rows(p, q)
    return values


def _of_pairs_in_two_storages(
    divergence: Divergence, P: Distributions, Q: Distributions, i: Places, j: Places, kernel: PairKernel, *, small: bool
) -> FloatArray:
    """Make the sparse rows dense, a few at a time."""
    values = np.empty(len(i), dtype=P.dtype)
    for some in few_rows(len(i), P.shape[1]):
        left, right = (Distributions(rows[places[some]].dense()) for rows, places in ((P, i), (Q, j)))
        places = np.arange(len(left))
        values[some] = of_pairs(divergence, left, right, places, places, kernel, small=small)
    return values


def weighted_of_pairs(
    P: Distributions, Q: Distributions, i: Places, j: Places, v: FloatArray, w: FloatArray, kernel: PairKernel
) -> FloatArray:
    """Return the Jensen-Shannon divergence of P[i[k]] / v[k] and Q[j[k]] / w[k], weighted by v[k] and w[k]."""
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
    """Yield places k with the rows P[i[k]] and Q[j[k]] in double precision, a few pairs at a time.

    Of two sparse rows only the bins are there that one of them stores. With ``together`` all others, which hold the
    same in each row, are one more bin: that leaves the sum of a term alone that is homogeneous, term(c p, c q) =
    c term(p, q), as those of all f-divergences are.
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
    """Yield pairs by their numbers of entries, so that little is filled up to the length of the longest."""
    lengths = np.diff(P.values.indptr)[i] + np.diff(Q.values.indptr)[j]
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        step = max(1, _CELL // max(1, int(lengths[order[start]])))
        some = order[start : start + step]
        yield some, *_in_met_bins(P[i[some]], Q[j[some]])
        start += step


def _in_met_bins(P: Distributions, Q: Distributions) -> tuple[FloatArray, FloatArray]:
    """Return rows of P beside those of Q in the bins that either stores, moved together and filled up with zeros."""
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
    """Label the rows of both collections, such that two rows have the same label only if they are equal to the bit.

    Rows are told apart by a number made of their bits, and rows of the same number are compared.
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
    """Return one number a row: the sum, modulo 2**64, of the bits of each entry times an odd number of its bin."""
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
    equal = np.zeros(len(i), dtype=bool)
    for some, p, q in pair_rows(P, Q, i, j):
        equal[some] = (p == q).all(axis=1)
    return equal


# --- What cancellation would spoil ---


def spread(rows: Distributions, unit: float) -> FloatArray:
    """Return a bound, up to a constant near 1, of the sum over bins of p abs(ln(unit p)) for each row.

    It is about 1 for rows that are nearly uniform over ``unit`` bins, and grows as they concentrate on few. The sum of
    p ln(unit p) is at most ln(unit sum p²), by Jensen's inequality.
    """
    squares = rows.once(_sums_of_squares)
    if rows.background is not None:
        squares = squares + rows.background[:, 0]  # at least the sum of squares over the empty bins
    bound: FloatArray = 1 + np.abs(np.log(unit * squares))
    return bound


def _sums_of_squares(values: Any) -> FloatArray:
    if not sp.issparse(values):
        of_rows: FloatArray = np.vecdot(values, values).astype(np.float64)
        return of_rows
    squares = sp.csr_array(
        (np.square(values.data, dtype=np.float64), values.indices, values.indptr), shape=values.shape
    )
    return np.asarray(squares.sum(axis=1))


def rounding_of_sum(n_terms: float, dtype: np.dtype[Any]) -> float:
    """Return the largest relative error of so many terms of one sign that are added one after another."""
    return (n_terms + _OWN_ROUNDING) * float(np.finfo(dtype).eps) / 2


def digits_lost_below(error: Any, dtype: np.dtype[Any], power: float) -> Any:
    """Return the value below which an error of its ``power``-th root is more than may be accepted."""
    return (error / _RELATIVE[dtype]) ** power


def refine(
    values: FloatArray, divergence: Divergence, P: Distributions, Q: Distributions, diagonal: int | None,
    kernel: PairKernel, *, below: Any, also: NDArray[np.bool_] | None = None,
) -> None:  # fmt: skip
    """Compute again, term by term, the entries whose digits the fast form has lost; equal rows are at 0.

    Those are all ``below`` a value: one number, or one for each row of P in a column. ``also`` are entries that the
    fast form could not compute at all.
    """
    if diagonal is not None:
        of_itself = np.arange(max(0, -diagonal), min(len(P), len(Q) - diagonal))
        values[of_itself, of_itself + diagonal] = np.inf
        if also is not None:
            also[of_itself, of_itself + diagonal] = False
    if values.min() < np.max(below):
        small = values < below
        if also is not None:
            small &= ~also
        _compute_again(values, small, divergence, P, Q, diagonal, kernel, small=True)
    if also is not None and also.any():
        _compute_again(values, also, divergence, P, Q, diagonal, kernel, small=False)
    if diagonal is not None:
        values[of_itself, of_itself + diagonal] = 0


def _compute_again(
    values: FloatArray, wanted: NDArray[np.bool_], divergence: Divergence, P: Distributions, Q: Distributions,
    diagonal: int | None, kernel: PairKernel, *, small: bool,
) -> None:  # fmt: skip
    """Compute the wanted entries; of the same rows and a symmetric divergence those above the diagonal alone."""
    if diagonal is not None and divergence.symmetric:
        wanted = np.triu(wanted, diagonal)
    if np.count_nonzero(wanted) > len(P) + len(Q):  # else rows would be compared for nothing
        of_p, of_q = labels_of_equal_rows(P, Q)
        equal = of_p[:, np.newaxis] == of_q
        values[wanted & equal] = 0
        wanted = wanted & ~equal
    rows, columns = np.nonzero(wanted)
    if len(rows):
        values[rows, columns] = of_pairs(divergence, P, Q, rows, columns, kernel, small=small)
