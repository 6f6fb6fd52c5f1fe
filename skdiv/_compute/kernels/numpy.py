"""Sums over pairs of rows with NumPy and SciPy alone: see `skdiv._compute.kernels.PairKernel`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdiv._compute.shortlists import Shortlists
from skdiv._divergences.forms import Pair, entropy_term
from skdiv._utils.typing import FloatArray

ERROR_OF_MIXTURE = dict.fromkeys(map(np.dtype, (np.float64, np.float32)), 0.0)  # NumPy's logarithms are rounded well
_CELL = 131_072  # entries of each of the two buffers; with smaller ones threads would wait for Python's lock


def overlaps(pair: Pair, P: FloatArray, Q: FloatArray, out: FloatArray, *, upper: bool) -> None:
    """Write the overlaps of all pairs of dense rows into ``out``."""
    nothing = np.zeros((1, P.shape[1]), dtype=P.dtype)
    single_sums = [np.empty((len(rows), 1)) for rows in (P, Q)]  # of g(p, 0) and of g(0, q)
    for rows, sums in zip((P, Q), single_sums, strict=True):
        _sums(pair, rows, nothing, sums)
    _sums(pair, P, Q, out, upper=upper)
    out -= single_sums[0] + single_sums[1].T
    out /= 2


def _sums(pair: Pair, P: FloatArray, Q: FloatArray, out: FloatArray, *, upper: bool = False) -> None:
    """Write the sum over the bins of g(p, q) into out[i, j] for each row p = P[i] and each q = Q[j]."""
    of_cell = _mixture_sums if pair == "mixture" else _difference_sums
    buffers = np.empty((2, max(_CELL, P.shape[1])), dtype=P.dtype)
    out.fill(0)  # so that entries which are not wanted are finite too
    for rows, columns in _cells(len(P), len(Q), P.shape[1], upper=upper):
        p, q = P[rows, np.newaxis], Q[np.newaxis, columns]
        shape = (p.shape[0], q.shape[1], P.shape[1])
        first, second = (buffer[: shape[0] * shape[1] * shape[2]].reshape(shape) for buffer in buffers)
        out[rows, columns] = of_cell(p, q, first, second)


def _cells(n_left: int, n_right: int, n_bins: int, *, upper: bool) -> Iterator[tuple[slice, slice]]:
    """Yield slices of left and right rows, whose pairs times bins are at most about `_CELL`, that cover all pairs.

    With ``upper`` they cover the pairs j ≥ i alone.
    """
    right_step = max(1, min(n_right, _CELL // n_bins))
    left_step = max(1, min(n_left, _CELL // (n_bins * right_step)))
    for i in range(0, n_left, left_step):
        for j in range(i if upper else 0, n_right, right_step):
            yield slice(i, min(i + left_step, n_left)), slice(j, min(j + right_step, n_right))


def _mixture_sums(p: FloatArray, q: FloatArray, s: FloatArray, log_s: FloatArray) -> FloatArray:
    """Return the sum over the last axis of (p + q) ln(p + q); ``s`` and ``log_s`` are buffers of the shape of p + q."""
    # The smallest normal number is added, so that no logarithm of 0 is taken. No entry that counts is changed by it.
    np.add(p + np.finfo(p.dtype).tiny, q, out=s)
    np.log(s, out=log_s)
    totals: FloatArray = np.vecdot(s, log_s)
    return totals


def _difference_sums(p: FloatArray, q: FloatArray, difference: FloatArray, _: FloatArray) -> FloatArray:
    """Return the sum over the last axis of −abs(p − q); ``difference`` is a buffer of the shape of p − q."""
    np.subtract(p, q, out=difference)
    totals: FloatArray = np.abs(difference, out=difference).sum(axis=-1)
    return -totals


def term_sums(*_: Any) -> None:
    """Return None for every term: the caller then evaluates the functions of `skdiv._divergences.terms`."""


def weighted_term_sums(*_: Any) -> None:
    """Return None, whereupon the caller evaluates the function of `skdiv._divergences.terms`."""


def add_to_shortlists(lists: Shortlists, scores: FloatArray, start: int) -> None:
    """Add to the list of each row those of its scores that are low enough; the first score is that of column start."""
    before = lists.limits.copy()
    if start == 0:  # Without limits all scores would be low enough.
        lists.lower(np.partition(scores, min(lists.n_lowest, scores.shape[1]) - 1, axis=1)[:, : lists.n_lowest])
    i, j, rank = _places_row_by_row(scores <= lists.limits[:, np.newaxis])
    if start:
        low = np.full((len(scores), 1 + int(rank.max(initial=0))), np.inf)
        low[i, rank] = scores[i, j]
        lists.lower(low)
    is_low = scores[i, j] <= lists.limits[i]
    if lists.exact:  # Of columns equal to the k-th lowest, k are enough, and none if others have been so before.
        is_tie = scores[i, j] == lists.limits[i]
        ties = np.zeros(scores.shape, dtype=bool)
        ties[i[is_tie], j[is_tie]] = True
        is_low[is_tie] = (_places_row_by_row(ties)[2] < lists.n_lowest) & (before > lists.limits)[i[is_tie]]
    low_scores = np.zeros(scores.shape, dtype=bool)
    low_scores[i[is_low], j[is_low]] = True
    lists.add(*_places_row_by_row(low_scores), scores, start)


def _places_row_by_row(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns of the entries of a mask, and how many such entries come before each in its row."""
    i, j = np.nonzero(mask)
    found = np.bincount(i, minlength=len(mask))
    return i, j, np.arange(len(i)) - np.repeat(np.cumsum(found) - found, found)


def mixture_sums(P: FloatArray, Q: FloatArray, i: NDArray[Any], j: NDArray[Any]) -> FloatArray:
    """Return for each k the sum over the bins of (p + q) ln(p + q) for the rows p = P[i[k]] and q = Q[j[k]]."""
    out = np.empty(len(i))
    step = max(1, _CELL // P.shape[1])
    for start in range(0, len(i), step):
        some = slice(start, start + step)
        s = P[i[some]].astype(np.float64, copy=False) + Q[j[some]]
        out[some] = entropy_term(s).sum(axis=1)
    return out


def sparse_overlaps(pair: Pair, P: Any, Q: Any, out: FloatArray, *, upper: bool) -> None:
    """Write the overlaps of all pairs of sparse rows, given in CSC, into ``out``.

    Only bins that both rows store contribute to an overlap, so each entry of P is paired with each entry of Q in the
    same bin. These pairs of entries are listed, entry by entry of P, in batches of about `_CELL`, and what each pair
    contributes is added to the overlap of its two rows. ``upper`` is ignored and the whole matrix is computed, because
    only tiles on the diagonal would gain from it.
    """
    del upper
    out.fill(0)
    # Entry t of P is paired with lengths[t] entries of Q, from position first_in_q[t] on; ends is the running total of
    # these pairs.
    bin_of_entry = np.repeat(np.arange(P.shape[1]), np.diff(P.indptr))
    first_in_q, lengths = Q.indptr[bin_of_entry], np.diff(Q.indptr)[bin_of_entry]
    ends = np.cumsum(lengths)
    terms = [entropy_term(entries) for entries in (P.data, Q.data)] if pair == "mixture" else []
    start = 0
    while start < len(ends):
        n_before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, n_before + _CELL, side="right")))
        some = slice(start, stop)
        # For each pair of this batch: the position of its entry of P in P.data, and that of its entry of Q in Q.data.
        in_p = np.repeat(np.arange(start, stop), lengths[some])
        shift = first_in_q[some] - (ends[some] - lengths[some] - n_before)
        in_q = np.arange(len(in_p)) + np.repeat(shift, lengths[some])
        p, q = P.data[in_p], Q.data[in_q]
        values = (entropy_term(p + q) - terms[0][in_p] - terms[1][in_q]) / 2 if terms else np.minimum(p, q)
        np.add.at(out.reshape(-1), P.indices[in_p].astype(np.intp) * Q.shape[0] + Q.indices[in_q], values)
        start = stop


def add_pooled_overlaps(
    values: FloatArray,
    terms: FloatArray,
    bins: NDArray[Any],
    owners: NDArray[Any],
    p: FloatArray,
    p_terms: FloatArray,
    start: int,
    out: FloatArray,
) -> None:
    """Add the mixture overlaps of one row p with all others from ``start`` on to ``out``."""
    of_bin = p[bins]
    met = np.flatnonzero((of_bin > 0) & (owners >= start))
    gained = entropy_term(of_bin[met] + values[met]) - terms[met] - p_terms[bins[met]]
    out += np.bincount(owners[met], gained / 2, minlength=len(out))


class MergingRows:
    """Dense rows with the sum of p ln p of each, so that the overlaps of one row take one logarithm for each entry."""

    def __init__(self, rows: FloatArray) -> None:
        self._rows = rows.copy()
        self._sums = entropy_term(self._rows).sum(axis=1)
        self._buffers = np.empty((2, max(_CELL, rows.shape[1])))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    @property
    def n_bins(self) -> int:
        """Return the number of bins of each row."""
        return int(self._rows.shape[1])

    def overlaps(self, i: int, start: int) -> FloatArray:
        """Return the overlaps of row i with each row from ``start`` on."""
        out = np.empty(len(self) - start)
        step = max(1, _CELL // self._rows.shape[1])
        for some in range(start, len(self), step):
            q = self._rows[some : some + step]
            first, second = (buffer[: q.size].reshape(q.shape) for buffer in self._buffers)
            out[some - start : some - start + step] = _mixture_sums(self._rows[i], q, first, second)
        out -= self._sums[start:]
        out -= self._sums[i]
        out /= 2
        return out

    def merge(self, i: int, j: int) -> None:
        """Replace row j by the sum of rows i and j; row i is undefined from then on."""
        self._rows[j] += self._rows[i]
        self._sums[j] = entropy_term(self._rows[j]).sum()

    def keep(self, places: NDArray[np.intp]) -> None:
        """Keep the rows at these positions alone, and number them anew from 0 on."""
        self._rows, self._sums = self._rows[places], self._sums[places]

    def some(self, places: NDArray[np.intp]) -> FloatArray:
        """Return the rows at these positions as a dense array."""
        return self._rows[places]


merging = MergingRows
