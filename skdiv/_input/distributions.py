"""Checked weights become normalised rows. Nothing is dropped, clipped, smoothed or modified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skdiv._input.checks import (
    UNNAMED,
    Matrix,
    MatrixLike,
    Names,
    as_doubles,
    as_weights,
    names_of,
    refuse_empty_rows,
    refuse_entries,
    refuse_large_pseudocount,
    refuse_lost_entry,
)
from skdiv._utils.typing import FloatArray

_TOTALS_AT_A_TIME = 2**18  # entries whose sums are made at a time, in copies that stay in the cache


@dataclass(frozen=True)
class Distributions:
    """Rows that each sum to one: a dense array, or CSR.

    A pseudocount keeps CSR rows sparse: ``background``, of shape (n, 1), is what every bin holds that is not stored.
    """

    values: Matrix
    background: FloatArray | None = None
    _kept: dict[Any, Matrix] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kept": {}}

    def once(self, function: Callable[[Matrix], Matrix]) -> Matrix:
        """``function(values)``, kept for the tiles that share this block of rows."""
        if function not in self._kept:
            self._kept[function] = function(self.values)
        return self._kept[function]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of distributions and of bins."""
        n_distributions, n_bins = self.values.shape
        return n_distributions, n_bins

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64 or float32."""
        dtype: np.dtype[Any] = self.values.dtype
        return dtype

    @property
    def is_sparse(self) -> bool:
        """Whether the zeros are not stored, and are zeros."""
        return sp.issparse(self.values) and self.background is None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[np.integer[Any]]) -> Distributions:
        """Some of the rows; a slice, which has no step, shares their memory."""
        if isinstance(rows, slice) and rows == slice(0, len(self)):
            return self
        background = None if self.background is None else self.background[rows]
        if isinstance(rows, slice) and sp.issparse(self.values):
            return Distributions(_view_of_rows(self.values, rows), background)
        return Distributions(self.values[rows], background)

    def dense(self) -> FloatArray:
        """The rows as an array; the array itself if it is one."""
        rows = self.values
        if not sp.issparse(rows):
            return rows  # type: ignore[no-any-return]
        if self.background is None:
            return rows.toarray(order="C")  # type: ignore[no-any-return]
        array: FloatArray = np.repeat(self.background, rows.shape[1], axis=1)
        entries = rows.tocoo()
        array[entries.row, entries.col] = entries.data
        return array


def _view_of_rows(rows: Matrix, some: slice) -> Matrix:
    """Some rows of a CSR matrix, in the memory of all; SciPy would copy them."""
    start, stop, _ = some.indices(rows.shape[0])
    starts = rows.indptr[start : stop + 1]
    entries = slice(starts[0], starts[-1])
    return sp.csr_array(
        (rows.data[entries], rows.indices[entries], starts - starts[0]), shape=(stop - start, rows.shape[1])
    )


def in_used_bins(P: Matrix, Q: Matrix) -> tuple[Matrix, Matrix]:
    """Two CSR matrices without the columns that are empty in both, if there are more columns than entries."""
    if P.shape[1] <= P.nnz + Q.nnz:
        return P, Q
    used = np.unique(P.indices if P is Q else np.concatenate([P.indices, Q.indices]))

    def renumbered(rows: Matrix) -> Matrix:
        bins = np.searchsorted(used, rows.indices).astype(rows.indices.dtype)
        return sp.csr_array((rows.data, bins, rows.indptr), shape=(rows.shape[0], max(1, len(used))))

    of_p = renumbered(P)
    return of_p, of_p if P is Q else renumbered(Q)


def as_distributions(X: MatrixLike, *, pseudocount: float = 0.0) -> Distributions:
    """Check a user's array-like, sparse matrix or frame and normalise its rows."""
    names = names_of(X)
    return normalise(as_weights(X, names), pseudocount=pseudocount, names=names)


def as_distribution(vector: ArrayLike, name: str) -> FloatArray:
    """One vector of non-negative weights as a normalised row of shape (1, n_bins)."""
    weights = as_doubles(vector, name)
    if weights.ndim != 1 or weights.size == 0:
        raise ValueError(f"{name} must be a vector of at least one bin, but its shape is {weights.shape}.")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name}[{i}] = {weights[i]}, but the weight of a bin must be finite and not negative.")
    if not weights.any():
        raise ValueError(f"{name} sums to 0, so it is not a distribution.")
    return normalise(weights[np.newaxis], names=Names(name)).dense()


def normalise(X: Matrix, *, pseudocount: float = 0.0, names: Names = UNNAMED) -> Distributions:
    """Divide each row of a float array or CSR matrix by its sum, after adding ``pseudocount`` to every entry.

    Equal weights give equal rows to the bit, be they dense or sparse.
    """
    if sp.issparse(X):
        return _normalise_sparse(_canonical(X), pseudocount, names)
    smallest, largest = X.min(), X.max()
    if not (smallest >= 0 and np.isfinite(largest)):
        refuse_entries(X, names)
    refuse_large_pseudocount(largest, pseudocount, names)
    weights = np.ascontiguousarray(X)  # a division keeps the layout, and the kernels sum in the order of memory
    totals = _totals_of_dense(weights, pseudocount, has_zeros=bool(smallest == 0))
    if not np.isfinite(totals).all():
        return Distributions(_normalise_sparse(_canonical(X), pseudocount, names).dense())
    refuse_empty_rows(totals, names)
    values = _shares(weights, pseudocount, totals[:, np.newaxis], X.dtype)
    may_be_lost = (smallest + pseudocount) / totals.max() < np.finfo(X.dtype).tiny
    if may_be_lost and not values.all():
        lost = (values == 0) & ((weights > 0) | (pseudocount > 0))
        if lost.any():
            row, column = np.argwhere(lost)[0]
            refuse_lost_entry(names, int(row), int(column), X[row, column], pseudocount, X.dtype)
    return Distributions(values)


def _normalise_sparse(rows: Matrix, pseudocount: float, names: Names) -> Distributions:
    if rows.nnz and not (rows.data.min() >= 0 and np.isfinite(rows.data.max())):
        refuse_entries(rows, names)
    largest = rows.data.max(initial=0)
    refuse_large_pseudocount(largest, pseudocount, names)
    n_bins, lengths = rows.shape[1], np.diff(rows.indptr)
    data, added = rows.data.astype(np.float64, copy=False), np.full(len(lengths), pseudocount)
    totals = _totals(data, lengths, pseudocount * n_bins)
    if not np.isfinite(totals).all():  # a sum of entries near the largest float overflows, one of their ratios does not
        scale = np.where(np.isfinite(totals), 1, _towards_one(_over_rows(np.maximum, data, lengths) + pseudocount))
        data, added = data * np.repeat(scale, lengths), added * scale
        totals = _totals(data, lengths, added * n_bins)
    refuse_empty_rows(totals, names)
    values = _shares(data, np.repeat(added, lengths), np.repeat(totals, lengths), rows.dtype)
    if not values.all():
        lost = int(np.argmin(values))
        row = int(np.searchsorted(rows.indptr, lost, side="right")) - 1
        refuse_lost_entry(names, row, int(rows.indices[lost]), rows.data[lost], pseudocount, rows.dtype)
    background = None
    if pseudocount:
        background = _shares(np.zeros(len(totals)), added, totals, rows.dtype)[:, np.newaxis]
        lost_in = np.flatnonzero((background[:, 0] == 0) & (lengths < n_bins))
        if lost_in.size:
            row = int(lost_in[0])
            stored = rows.indices[rows.indptr[row] : rows.indptr[row + 1]]
            column = int(np.setdiff1d(np.arange(len(stored) + 1), stored)[0])
            refuse_lost_entry(names, row, column, 0.0, pseudocount, rows.dtype)
    return Distributions(sp.csr_array((values, rows.indices, rows.indptr), shape=rows.shape), background)


def _canonical(X: Matrix) -> Matrix:
    """CSR with one positive entry for each bin that has mass, in the order of the bins."""
    rows = sp.csr_array(X)  # shares its arrays with X
    if not rows.has_canonical_format or not rows.data.all():
        rows = rows.copy()
        rows.sum_duplicates()
        rows.eliminate_zeros()
    return rows


def _totals_of_dense(weights: FloatArray, pseudocount: float, *, has_zeros: bool) -> FloatArray:
    """Sums of rows as `_totals` makes them of sparse ones: over the bins that have mass, some rows at a time."""
    n, n_bins = weights.shape
    totals, step = np.empty(n), max(1, _TOTALS_AT_A_TIME // n_bins)
    for start in range(0, n, step):
        some = weights[start : start + step].astype(np.float64, copy=False)
        data, lengths = some.ravel(), np.full(len(some), n_bins)
        if has_zeros:
            has_mass = some != 0
            data, lengths = some[has_mass], has_mass.sum(axis=1)
        totals[start : start + step] = _totals(data, lengths, pseudocount * n_bins)
    return totals


def _totals(data: FloatArray, lengths: NDArray[np.integer[Any]], added: Any) -> FloatArray:
    """Add the entries of each row, which lie one after another, and what was added to its bins.

    The bits do not depend on the other rows, for reduceat sums each row pairwise and by its entries alone.
    """
    with np.errstate(over="ignore"):
        totals: FloatArray = _over_rows(np.add, data, lengths) + added
    return totals


def _over_rows(reduction: np.ufunc, data: FloatArray, lengths: NDArray[np.integer[Any]]) -> FloatArray:
    """Reduce each row of entries that lie one after another; reduceat has no notion of an empty row."""
    filled = lengths > 0
    results = np.zeros(len(lengths))
    if filled.any():
        results[filled] = reduction.reduceat(data, (np.cumsum(lengths) - lengths)[filled])
    return results


def _shares(weights: FloatArray, added: Any, totals: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    """Return weights as shares of the totals of their rows, divided in double precision."""
    with np.errstate(under="ignore", over="ignore"):
        weights = np.add(weights, added, dtype=np.float64) if np.any(added) else weights
        shares = np.divide(weights, totals, dtype=np.float64)
        return shares.astype(dtype, copy=False)


def _towards_one(largest: FloatArray) -> FloatArray:
    """Return a power of two, by which a multiplication is exact, that brings the largest entry of a row near 1."""
    return np.ldexp(1.0, -np.frexp(largest)[1])
