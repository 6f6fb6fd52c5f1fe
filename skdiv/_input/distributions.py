"""Normalise checked weights to rows that sum to one. Nothing is dropped, clipped, smoothed or modified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from skdiv._input.checks import (
    Matrix,
    MatrixLike,
    as_doubles,
    as_weights,
    refuse_empty_rows,
    refuse_entries,
    refuse_large_pseudocount,
    refuse_lost_entry,
)
from skdiv._input.mistakes import warn_of_distances
from skdiv._input.names import UNNAMED, Names, names_of
from skdiv._utils.typing import FloatArray

_TOTALS_AT_A_TIME = 2**18  # entries that are copied and summed at a time, so that the copies stay in the cache


@dataclass(frozen=True)
class Distributions:
    """A collection of distributions: rows that each sum to one, as a dense array or a CSR matrix.

    With a pseudocount, rows in CSR stay sparse: every bin that is not stored holds the same number in a row, which is
    in ``background``, of shape (n, 1). Without one ``background`` is None, and such bins hold 0.
    """

    values: Matrix
    background: FloatArray | None = None
    _kept: dict[Any, Matrix] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickling, without the results that `once` has kept."""
        return {**vars(self), "_kept": {}}

    def once(self, function: Callable[[Matrix], Matrix]) -> Matrix:
        """Return ``function(values)``, which is computed once and kept for all tiles that use these rows."""
        if function not in self._kept:
            self._kept[function] = function(self.values)
        return self._kept[function]

    @property
    def shape(self) -> tuple[int, int]:
        """Return the number of distributions and the number of bins."""
        n_distributions, n_bins = self.values.shape
        return n_distributions, n_bins

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype of the rows: float64 or float32."""
        dtype: np.dtype[Any] = self.values.dtype
        return dtype

    @property
    def is_sparse(self) -> bool:
        """Return whether the rows are in CSR without a background: all bins that are not stored then hold 0."""
        return sp.issparse(self.values) and self.background is None

    def __len__(self) -> int:
        """Return the number of distributions."""
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[np.integer[Any]]) -> Distributions:
        """Return some of the rows; those of a slice, which must have no step, share memory with the collection."""
        if isinstance(rows, slice) and rows == slice(0, len(self)):
            return self
        background = None if self.background is None else self.background[rows]
        if isinstance(rows, slice) and sp.issparse(self.values):
            return Distributions(_view_of_rows(self.values, rows), background)
        return Distributions(self.values[rows], background)

    def dense(self) -> FloatArray:
        """Return the rows as a dense array, which is not copied if they are dense already."""
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
    """Return a slice of the rows of a CSR matrix that shares memory with it; SciPy's own slice would be a copy."""
    start, stop, _ = some.indices(rows.shape[0])
    starts = rows.indptr[start : stop + 1]
    entries = slice(starts[0], starts[-1])
    return sp.csr_array(
        (rows.data[entries], rows.indices[entries], starts - starts[0]), shape=(stop - start, rows.shape[1])
    )


def in_used_bins(P: Matrix, Q: Matrix) -> tuple[Matrix, Matrix]:
    """Drop the columns that are empty in both of two CSR matrices, if there are more columns than entries."""
    if P.shape[1] <= P.nnz + Q.nnz:
        return P, Q
    used = np.unique(P.indices if P is Q else np.concatenate([P.indices, Q.indices]))

    def renumbered(rows: Matrix) -> Matrix:
        """Return the rows with the bins in use alone, numbered anew."""
        bins = np.searchsorted(used, rows.indices).astype(rows.indices.dtype)
        return sp.csr_array((rows.data, bins, rows.indptr), shape=(rows.shape[0], max(1, len(used))))

    of_p = renumbered(P)
    return of_p, of_p if P is Q else renumbered(Q)


def of_used_bins(rows: Distributions) -> tuple[Distributions, NDArray[np.integer[Any]] | None]:
    """Drop the bins of sparse rows in which none has mass, if there are many; return also the bins that are left.

    They are None if none was dropped. `in_all_bins` puts results back in their places.
    """
    if not rows.is_sparse:
        return rows, None
    left, _ = in_used_bins(rows.values, rows.values)
    return (rows, None) if left is rows.values else (Distributions(left), np.unique(rows.values.indices))


def in_all_bins(rows: Distributions, used: NDArray[np.integer[Any]], n_bins: int) -> Distributions:
    """Return rows of the bins ``used`` as sparse rows of all bins."""
    values = sp.csr_array(rows.values)
    return Distributions(sp.csr_array((values.data, used[values.indices], values.indptr), shape=(len(rows), n_bins)))


def as_distributions(X: MatrixLike, *, pseudocount: float | None = 0.0) -> Distributions:
    """Check a user's array-like, sparse matrix or frame, and normalise its rows; see `normalise`."""
    names = names_of(X)
    weights = as_weights(X, names)
    warn_of_distances(weights)
    return normalise(weights, pseudocount=pseudocount, names=names)


def as_distribution(vector: MatrixLike, name: str) -> FloatArray:
    """Check a user's vector of weights, and return it as one normalised row of shape (1, n_bins).

    The vector may be one row of a sparse matrix or a frame, in whatever number of dimensions that comes.
    """
    weights = as_doubles(as_vector(vector, name), name)
    if weights.ndim != 1 or weights.size == 0:
        _refuse_shape(weights.shape, name)
    if weights.size == 1:
        raise ValueError(f"{name} has one bin, over which all distributions are the same; pass a weight for each bin.")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name}[{i}] = {weights[i]}, but the weight of a bin must be finite and not negative.")
    if not weights.any():
        raise ValueError(f"{name} sums to 0, so it is not a distribution.")
    return normalise(weights[np.newaxis], names=Names(name)).dense()


def as_vector(vector: Any, name: str) -> Any:
    """Return one row of a sparse matrix or a frame as a vector, and anything else as it is."""
    if isinstance(vector, np.ndarray | list | tuple):
        return vector
    is_sparse, names = sp.issparse(vector), names_of(vector, name)
    if not (is_sparse or names.has_columns):
        return vector
    rows = as_weights(vector.reshape((1, -1)) if is_sparse and vector.ndim == 1 else vector, names)
    if rows.shape[0] != 1:
        _refuse_shape(rows.shape, name)
    return (rows.toarray() if sp.issparse(rows) else rows)[0]


def _refuse_shape(shape: tuple[int, ...], name: str) -> NoReturn:
    """Raise the error about an argument that is no vector of weights."""
    raise ValueError(f"{name} must be a vector of at least one bin, but its shape is {shape}.")


def normalise(X: Matrix, *, pseudocount: float | None = 0.0, names: Names = UNNAMED) -> Distributions:
    """Add ``pseudocount`` to every entry of a float array or CSR matrix, and divide each row by its sum.

    Equal weights give equal rows to the bit, whether they are dense or sparse. Callers whose users cannot pass a
    pseudocount pass None, which adds nothing; the message about an empty row then does not suggest one.
    """
    if pseudocount is None:
        return _normalise(X, 0.0, names, "Drop it.")
    return _normalise(X, pseudocount, names, "Drop it, or pass pseudocount > 0 to make it uniform.")


def _normalise(X: Matrix, pseudocount: float, names: Names, remedy: str) -> Distributions:
    """Do what `normalise` does; ``remedy`` ends the message about an empty row."""
    if sp.issparse(X):
        return _normalise_sparse(_canonical(X), pseudocount, names, remedy)
    smallest, largest = X.min(), X.max()
    if not (smallest >= 0 and np.isfinite(largest)):
        refuse_entries(X, names)
    refuse_large_pseudocount(largest, pseudocount, names)
    # A division keeps the layout in memory, and the kernels sum in the order of memory.
    weights = np.ascontiguousarray(X)
    totals = _totals_of_dense(weights, pseudocount, has_zeros=bool(smallest == 0))
    if not np.isfinite(totals).all():
        return Distributions(_normalise_sparse(_canonical(X), pseudocount, names, remedy).dense())
    refuse_empty_rows(totals, names, remedy)
    values = _shares(weights, pseudocount, totals[:, np.newaxis], X.dtype)
    may_be_lost = (smallest + pseudocount) / totals.max() < np.finfo(X.dtype).tiny
    if may_be_lost and not values.all():
        lost = (values == 0) & ((weights > 0) | (pseudocount > 0))
        if lost.any():
            row, column = np.argwhere(lost)[0]
            refuse_lost_entry(names, int(row), int(column), X[row, column], pseudocount, X.dtype)
    return Distributions(values)


def _normalise_sparse(rows: Matrix, pseudocount: float, names: Names, remedy: str) -> Distributions:
    """Do what `_normalise` does for rows in CSR that are in the format of `_canonical`."""
    if rows.nnz and not (rows.data.min() >= 0 and np.isfinite(rows.data.max())):
        refuse_entries(rows, names)
    largest = rows.data.max(initial=0)
    refuse_large_pseudocount(largest, pseudocount, names)
    n_bins, lengths = rows.shape[1], np.diff(rows.indptr)
    data, added = rows.data.astype(np.float64, copy=False), np.full(len(lengths), pseudocount)
    totals = _totals(data, lengths, pseudocount * n_bins)
    if not np.isfinite(totals).all():  # Entries near the largest float are scaled, so that their sums do not overflow.
        scale = np.where(np.isfinite(totals), 1, _towards_one(_over_rows(np.maximum, data, lengths) + pseudocount))
        data, added = data * np.repeat(scale, lengths), added * scale
        totals = _totals(data, lengths, added * n_bins)
    refuse_empty_rows(totals, names, remedy)
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
    """Return CSR rows that store one positive entry for each bin with mass, in the order of the bins, and no zeros."""
    rows = sp.csr_array(X)  # This shares its arrays with X.
    if not rows.has_canonical_format or not rows.data.all():
        rows = rows.copy()
        rows.sum_duplicates()
        rows.eliminate_zeros()
    return rows


def _totals_of_dense(weights: FloatArray, pseudocount: float, *, has_zeros: bool) -> FloatArray:
    """Return the sum of each dense row, with the pseudocount in every bin, to the bit as `_totals` gives it for CSR.

    So only the bins with mass are added. Some rows are summed at a time, in double precision.
    """
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
    """Return the sum of each row: of its stored entries in ``data``, plus ``added`` for the pseudocounts in its bins.

    The entries of all rows lie one after another; ``lengths`` says how many belong to each. The bits of a sum do not
    depend on the other rows, because reduceat sums each row pairwise and by its own entries alone.
    """
    with np.errstate(over="ignore"):
        totals: FloatArray = _over_rows(np.add, data, lengths) + added
    return totals


def _over_rows(reduction: np.ufunc, data: FloatArray, lengths: NDArray[np.integer[Any]]) -> FloatArray:
    """Reduce the entries of each row to one number; an empty row, of which reduceat has no notion, gives 0.

    The entries of all rows lie one after another in ``data``; ``lengths`` says how many belong to each.
    """
    filled = lengths > 0
    results = np.zeros(len(lengths))
    if filled.any():
        results[filled] = reduction.reduceat(data, (np.cumsum(lengths) - lengths)[filled])
    return results


def _shares(weights: FloatArray, added: Any, totals: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    """Return weights plus ``added``, divided in double precision by the totals of their rows, in the given dtype."""
    with np.errstate(under="ignore", over="ignore"):
        weights = np.add(weights, added, dtype=np.float64) if np.any(added) else weights
        return np.divide(weights, totals, out=np.empty(weights.shape, dtype), dtype=np.float64, casting="same_kind")


def _towards_one(largest: FloatArray) -> FloatArray:
    """Return the power of two that scales the largest entry of a row to near 1; to multiply by it is exact."""
    with np.errstate(over="ignore"):  # of tiny entries, which nobody scales
        return np.ldexp(1.0, -np.frexp(largest)[1])
