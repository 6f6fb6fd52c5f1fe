"""Checked weights become normalised rows. Nothing is dropped, clipped, smoothed or modified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skdiv._checks import (
    Matrix,
    MatrixLike,
    as_weights,
    refuse_empty_rows,
    refuse_entries,
    refuse_large_pseudocount,
    refuse_lost_entry,
    refuse_masked,
)
from skdiv._terms import FloatArray

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


def as_distributions(X: MatrixLike, *, pseudocount: float = 0.0, name: str = "X") -> Distributions:
    """Check a user's array-like, sparse matrix or frame and normalise its rows."""
    return normalise(as_weights(X, name), pseudocount=pseudocount, name=name)


def as_distribution(vector: ArrayLike, name: str) -> FloatArray:
    """One vector of non-negative weights as a normalised row of shape (1, n_bins)."""
    refuse_masked(vector, name)
    array = np.asarray(vector)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a vector of at least one bin, but its shape is {array.shape}.")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, but its dtype is {array.dtype}.")
    weights = array.astype(np.float64)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name}[{i}] = {weights[i]}, but the weight of a bin must be finite and not negative.")
    if not weights.any():
        raise ValueError(f"{name} sums to 0, so it is not a distribution.")
    return normalise(weights[np.newaxis], name=name).dense()


def normalise(X: Matrix, *, pseudocount: float = 0.0, name: str = "X") -> Distributions:
    """Divide each row of a float array or CSR matrix by its sum, after adding ``pseudocount`` to every entry.

    Equal weights give equal rows to the bit, be they dense or sparse.
    """
    if sp.issparse(X):
        return _normalise_sparse(_canonical(X), pseudocount, name)
    smallest, largest = X.min(), X.max()
    if not (smallest >= 0 and np.isfinite(largest)):
        refuse_entries(X, name)
    refuse_large_pseudocount(largest, pseudocount, name)
    weights = np.ascontiguousarray(X)  # a division keeps the layout, and the kernels sum in the order of memory
    totals = _totals_of_dense(weights, pseudocount)
    if not np.isfinite(totals).all():  # a sum of entries near the largest float overflows, one of their ratios does not
        scale = _towards_one(largest + pseudocount)
        scaled, added = weights.astype(np.float64) * scale, pseudocount * scale
        totals = _totals_of_dense(scaled, added)
    else:
        scaled, added = weights, pseudocount
    refuse_empty_rows(totals, name)
    values = _shares(scaled, added, totals[:, np.newaxis], X.dtype)
    may_be_lost = (smallest + pseudocount) / totals.max() < np.finfo(X.dtype).tiny
    if may_be_lost and np.count_nonzero(values) < np.count_nonzero(weights + pseudocount):
        row, column = np.argwhere((values == 0) & (weights + pseudocount > 0))[0]
        refuse_lost_entry(name, int(row), int(column), X[row, column], pseudocount, X.dtype)
    return Distributions(values)


def _normalise_sparse(rows: Matrix, pseudocount: float, name: str) -> Distributions:
    if rows.nnz and not (rows.data.min() >= 0 and np.isfinite(rows.data.max())):
        refuse_entries(rows, name)
    largest = rows.data.max(initial=0)
    refuse_large_pseudocount(largest, pseudocount, name)
    n_bins, lengths = rows.shape[1], np.diff(rows.indptr)
    data, added = rows.data.astype(np.float64, copy=False), pseudocount
    totals = _totals(data, rows.indptr[:-1], lengths, added * n_bins)
    if not np.isfinite(totals).all():
        scale = _towards_one(largest + pseudocount)
        data, added = data * scale, pseudocount * scale
        totals = _totals(data, rows.indptr[:-1], lengths, added * n_bins)
    refuse_empty_rows(totals, name)
    values = _shares(data, added, np.repeat(totals, lengths), rows.dtype)
    if not values.all():
        lost = int(np.argmin(values))
        row = int(np.searchsorted(rows.indptr, lost, side="right")) - 1
        refuse_lost_entry(name, row, int(rows.indices[lost]), rows.data[lost], pseudocount, rows.dtype)
    background = None
    if pseudocount:
        background = _shares(np.zeros((len(totals), 1)), added, totals[:, np.newaxis], rows.dtype)
        lost_in = np.flatnonzero((background[:, 0] == 0) & (lengths < n_bins))
        if lost_in.size:
            row = int(lost_in[0])
            stored = rows.indices[rows.indptr[row] : rows.indptr[row + 1]]
            column = int(np.setdiff1d(np.arange(len(stored) + 1), stored)[0])
            refuse_lost_entry(name, row, column, 0.0, pseudocount, rows.dtype)
    return Distributions(sp.csr_array((values, rows.indices, rows.indptr), shape=rows.shape), background)


def _canonical(X: Matrix) -> Matrix:
    """CSR with one positive entry for each bin that has mass, in the order of the bins."""
    rows = sp.csr_array(X)  # shares its arrays with X
    if not rows.has_canonical_format or not rows.data.all():
        rows = rows.copy()
        rows.sum_duplicates()
        rows.eliminate_zeros()
    return rows


def _totals_of_dense(weights: FloatArray, pseudocount: float) -> FloatArray:
    """Sums of rows as `_totals` makes them of sparse ones: over the bins that have mass, some rows at a time."""
    n, n_bins = weights.shape
    totals, step = np.empty(n), max(1, _TOTALS_AT_A_TIME // n_bins)
    for start in range(0, n, step):
        some = weights[start : start + step].astype(np.float64, copy=False)
        has_mass = some != 0
        lengths = np.count_nonzero(has_mass, axis=1)
        data = some.ravel() if lengths.min() == n_bins else some[has_mass]
        totals[start : start + step] = _totals(data, np.cumsum(lengths) - lengths, lengths, pseudocount * n_bins)
    return totals


def _totals(
    data: FloatArray, starts: NDArray[np.integer[Any]], lengths: NDArray[np.integer[Any]], added: float
) -> FloatArray:
    """Sums of rows whose entries lie one after another; reduceat has no notion of an empty row, so it gets the others.

    Reduceat sums each row pairwise and by its entries alone, so the bits do not depend on the other rows.
    """
    filled = lengths > 0
    totals = np.zeros(len(lengths))
    with np.errstate(over="ignore"):
        if filled.any():
            totals[filled] = np.add.reduceat(data, starts[filled])
        totals += added
    return totals


def _shares(weights: FloatArray, added: float, totals: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    """Weights as shares of the totals of their rows, divided in double precision."""
    with np.errstate(under="ignore", over="ignore"):
        shares = np.divide(weights + added if added else weights, totals, dtype=np.float64)
        return shares.astype(dtype, copy=False)


def _towards_one(largest: float) -> float:
    """A power of two, by which a multiplication is exact, that brings the largest entry near 2**-64."""
    return float(np.ldexp(1.0, -64 - int(np.frexp(largest)[1])))
