"""Sums over pairs of rows, compiled by Numba: see `skdiv._compute.kernels.PairKernel`.

The file benchmarks/LOG.md says what makes these loops fast, with measurements.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdiv._compute.kernels.numba_log import ERRORS_OF_LOG2, log2
from skdiv._compute.kernels.numba_search import add_to_shortlists, mixture_sums
from skdiv._compute.kernels.numba_terms import compiled, term_sums, weighted_term_sums
from skdiv._divergences.forms import Pair
from skdiv._utils.typing import FloatArray

__all__ = [
    "MergingRows",
    "add_pooled_overlaps",
    "add_to_shortlists",
    "merging",
    "mixture_sums",
    "overlaps",
    "sparse_overlaps",
    "term_sums",
    "weighted_term_sums",
]
Indices = NDArray[np.integer[Any]]

_LN2 = float(np.log(2))
# The overlap is half the sum of (p + q) ln(p + q), p ln p and q ln q, each of which has a mass of 2 times the error.
ERROR_OF_MIXTURE = {np.dtype(dtype): 2 * _LN2 * error for dtype, error in ERRORS_OF_LOG2.items()}
_LANES = 16  # single-precision numbers in the widest register; the number of rows is rounded up to a multiple
_RUN = 16  # the number of bins that are summed in the precision of the data before they join a sum in double precision


@compiled
def _add_row_sums(mixture: bool, columns: FloatArray, logs: FloatArray, out: FloatArray) -> None:
    """Add to out[i] the sum over the bins of p log2(p), or without ``mixture`` of −p, for p the i-th distribution.

    columns[k, i] is what it holds in bin k; with ``mixture`` its logarithm is written to logs[k, i]. Here and below
    log2 stands for `log2`, which has another constant.
    """
    total = np.empty(columns.shape[1], columns.dtype)
    for run in range(0, len(columns), _RUN):
        total[:] = 0
        for k in range(run, min(run + _RUN, len(columns))):
            p, log_p = columns[k], logs[k]
            if mixture:
                for i in range(len(total)):
                    log_p[i] = log2(p[i])
                    total[i] += p[i] * log_p[i]
            else:
                for i in range(len(total)):
                    total[i] -= p[i]
        for i in range(len(total)):
            out[i] += total[i]


@compiled
def _add_sums(
    mixture: bool, P: FloatArray, columns: FloatArray, logs: FloatArray, upper: bool, out: FloatArray
) -> None:
    """Add to out[i, j] the sum over the bins of (p + q) log2(p + q), or without ``mixture`` of −abs(p − q).

    p is in row i of ``P`` and q in column j of ``columns``; ``logs`` are the logarithms of the latter. The innermost
    loop runs over j, for there are many distributions even where there are few bins.
    """
    total = np.empty(columns.shape[1], columns.dtype)
    for run in range(0, len(columns), _RUN):
        for i in range(len(P)):
            start = i - i % _LANES if upper else 0
            some = total[start:]
            some[:] = 0
            for k in range(run, min(run + _RUN, len(columns))):
                p = P[i, k]
                q = columns[k, start:]
                if not mixture:
                    for j in range(len(some)):
                        some[j] -= abs(p - q[j])
                elif p == 0:
                    log_q = logs[k, start:]
                    for j in range(len(some)):
                        some[j] += q[j] * log_q[j]
                else:
                    for j in range(len(some)):
                        s = p + q[j]
                        some[j] += s * log2(s)
            result = out[i, start:]
            for j in range(len(result)):
                result[j] += some[j]


@compiled
def _subtract_row_sums(left: FloatArray, right: FloatArray, factor: float, out: FloatArray) -> None:
    """Replace out[i, j] by (out[i, j] − left[i] − right[j]) · factor."""
    for i in range(len(out)):
        row, of_row = out[i], left[i]
        for j in range(len(row)):
            row[j] = (row[j] - (of_row + right[j])) * factor


def _overlap_adder(mixture: bool) -> Callable[..., None]:
    """Compile the loop over sparse rows for one g: a branch within it would keep it from being vectorised."""

    def add_overlaps(
        p_entries: FloatArray,
        p_rows: Indices,
        p_starts: Indices,
        q_entries: FloatArray,
        q_rows: Indices,
        q_starts: Indices,
        upper: bool,
        out: FloatArray,
    ) -> None:
        """Add to out[i, j] the sum over the bins that two rows share of g(p, q) − g(p, 0) − g(0, q), with log2 for ln.

        The rows are given in CSC: bin k of P holds the entries from p_starts[k] to p_starts[k + 1], which are in the
        rows ``p_rows``, and meets bin k of Q. So all is read in the order of memory.
        """
        p_terms = np.empty_like(p_entries)
        for t in range(len(p_entries)):
            p_terms[t] = p_entries[t] * log2(p_entries[t])
        q_terms = p_terms if upper else np.empty_like(q_entries)
        if not upper:
            for t in range(len(q_entries)):
                q_terms[t] = q_entries[t] * log2(q_entries[t])
        values = np.empty(out.shape[1])
        for k in range(len(p_starts) - 1):
            stop = q_starts[k + 1]
            for t in range(p_starts[k], p_starts[k + 1]):
                start = t + 1 if upper else q_starts[k]
                if start == stop:
                    continue
                p, p_term, row = p_entries[t], p_terms[t], out[p_rows[t]]
                q, q_term, places = q_entries[start:stop], q_terms[start:stop], q_rows[start:stop]
                if mixture:
                    for u in range(len(q)):
                        s = p + q[u]
                        values[u] = s * log2(s) - (p_term + q_term[u])
                else:
                    for u in range(len(q)):
                        values[u] = 2 * min(p, q[u])
                for u in range(len(q)):
                    row[places[u]] += values[u]

    return compiled(add_overlaps)


_ADD_OVERLAPS: dict[Pair, Callable[..., None]] = {
    "mixture": _overlap_adder(True),
    "difference": _overlap_adder(False),
}


def overlaps(pair: Pair, P: FloatArray, Q: FloatArray, out: FloatArray, *, upper: bool) -> None:
    """Write the overlaps of all pairs of dense rows into ``out``."""
    mixture = pair == "mixture"
    single_sums = []  # the sums over the bins of g(p, 0) for each row of P, and of g(0, q) for each row of Q
    for rows in (P, Q):
        columns = np.zeros((rows.shape[1], -(-len(rows) // _LANES) * _LANES), dtype=rows.dtype)
        columns[:, : len(rows)] = rows.T
        logs = np.empty_like(columns)
        row_sums = np.zeros(columns.shape[1])
        _add_row_sums(mixture, columns, logs, row_sums)
        single_sums.append(row_sums)
    out.fill(0)
    _add_sums(mixture, np.ascontiguousarray(P), columns, logs, upper, out)
    _subtract_row_sums(*single_sums, _LN2 / 2 if mixture else 0.5, out)


@compiled
def _sums_with(p: FloatArray, columns: FloatArray, logs: FloatArray, start: int, out: FloatArray) -> None:
    """Write into out[j] the sum over the bins of (p + q) log2(p + q), for one row p and q in column start + j."""
    out[:] = 0
    for k in range(len(p)):
        q = columns[k, start:]
        if p[k] == 0:
            log_q = logs[k, start:]
            for j in range(len(out)):
                out[j] += q[j] * log_q[j]
        else:
            for j in range(len(out)):
                s = p[k] + q[j]
                out[j] += s * log2(s)


class MergingRows:
    """Dense rows, held bin by bin, with the logarithm of each entry and the sum of p log2(p) of each row.

    So the overlaps of one row take one logarithm for each entry of the others.
    """

    def __init__(self, rows: FloatArray) -> None:
        self._columns = np.ascontiguousarray(rows.T)
        self._compute_logs()

    def _compute_logs(self) -> None:
        """Compute the logarithms and the sums of all rows."""
        self._logs, self._sums = np.empty_like(self._columns), np.zeros(len(self))
        _add_row_sums(True, self._columns, self._logs, self._sums)

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._columns.shape[1])

    @property
    def n_bins(self) -> int:
        """Return the number of bins of each row."""
        return int(self._columns.shape[0])

    def overlaps(self, i: int, start: int) -> FloatArray:
        """Return the overlaps of row i with each row from ``start`` on."""
        out = np.empty(len(self) - start)
        _sums_with(self._columns[:, i].copy(), self._columns, self._logs, start, out)
        out -= self._sums[start:]
        out -= self._sums[i]
        out *= _LN2 / 2
        return out

    def merge(self, i: int, j: int) -> None:
        """Replace row j by the sum of rows i and j; row i is undefined from then on."""
        self._columns[:, j] += self._columns[:, i]
        column, log, total = self._columns[:, j : j + 1].copy(), np.empty((len(self._columns), 1)), np.zeros(1)
        _add_row_sums(True, column, log, total)
        self._logs[:, j], self._sums[j] = log[:, 0], total[0]

    def keep(self, places: NDArray[np.intp]) -> None:
        """Keep the rows at these positions alone, and number them anew from 0 on."""
        self._columns = np.ascontiguousarray(self._columns[:, places])
        self._compute_logs()

    def some(self, places: NDArray[np.intp]) -> FloatArray:
        """Return the rows at these positions as a dense array."""
        return self._columns[:, places].T


@compiled
def add_pooled_overlaps(
    values: FloatArray,
    terms: FloatArray,
    bins: Indices,
    owners: Indices,
    p: FloatArray,
    p_terms: FloatArray,
    start: int,
    out: FloatArray,
) -> None:
    """Add the mixture overlaps of one row p with all others from ``start`` on to ``out``."""
    for t in range(len(values)):
        of_bin = p[bins[t]]
        if of_bin > 0 and owners[t] >= start:
            s = of_bin + values[t]
            out[owners[t]] += (s * log(s) - terms[t] - p_terms[bins[t]]) / 2


def sparse_overlaps(pair: Pair, P: Any, Q: Any, out: FloatArray, *, upper: bool) -> None:
    """Write the overlaps of all pairs of sparse rows, given in CSC, into ``out``."""
    out.fill(0)
    _ADD_OVERLAPS[pair](P.data, P.indices, P.indptr, Q.data, Q.indices, Q.indptr, upper, out)
    out *= _LN2 / 2 if pair == "mixture" else 0.5


merging = MergingRows
