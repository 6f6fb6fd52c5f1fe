"""From what a user passes to validated, normalised rows. Nothing is dropped, clipped, smoothed or modified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NoReturn, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_scalar

from skdiv._terms import FloatArray

MatrixLike: TypeAlias = ArrayLike | sp.sparray | sp.spmatrix  # what a user may pass; frames are array-like
Matrix: TypeAlias = Any  # a float array, or CSR, which has no static type

DTYPES = (np.float64, np.float32)
_TOTALS_AT_A_TIME = 2**18  # entries whose sums are made at a time, in copies that stay in the cache
_LARGEST_WEIGHT = 1e100  # of a row: the products of two, and what sums of them are divided by, stay within range


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


def check_pseudocount(pseudocount: float) -> float:
    """A finite real number, not negative."""
    value = check_scalar(pseudocount, "pseudocount", Real, min_val=0, include_boundaries="left")
    if not np.isfinite(value):
        raise ValueError(f"pseudocount = {pseudocount} must be finite.")
    return float(value)


def as_counts(X: Matrix, reason: str) -> Matrix:
    """A float array or CSR matrix of whole numbers, in double precision; ``reason``: why others will not do."""
    counts: Matrix = sp.csr_array(X, dtype=np.float64, copy=True) if sp.issparse(X) else X.astype(np.float64)
    if sp.issparse(X):
        counts.sum_duplicates()
    data = counts.data if sp.issparse(X) else counts
    broken = data != np.floor(data)
    if broken.any():
        places = np.argwhere(broken)[0]
        row, column = (counts.tocoo().row[places[0]], counts.indices[places[0]]) if sp.issparse(X) else places
        raise ValueError(f"X[{row}, {column}] = {counts[row, column]} is not a whole number, but {reason}")
    return counts


def check_sample_weight(sample_weight: ArrayLike | None, n: int) -> FloatArray | None:
    """A positive mass for each of n rows."""
    if sample_weight is None:
        return None
    masses = np.asarray(sample_weight)
    if masses.shape != (n,):
        raise ValueError(
            f"sample_weight must be a vector of one weight for each of the {n} rows of X, but its shape is "
            f"{masses.shape}. numpy.ravel makes a vector of the sums of a scipy.sparse matrix."
        )
    if masses.dtype.kind not in "fiub":
        raise TypeError(f"sample_weight must hold real numbers, but its dtype is {masses.dtype}.")
    masses = masses.astype(np.float64)
    bad = ~((masses >= 1 / _LARGEST_WEIGHT) & (masses <= _LARGEST_WEIGHT))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(
            f"sample_weight[{i}] = {masses[i]}, but a weight must be finite and above zero, from "
            f"{1 / _LARGEST_WEIGHT:g} to {_LARGEST_WEIGHT:g}; leave out rows that do not count."
        )
    return masses


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


def as_weights(X: MatrixLike, name: str = "X") -> Matrix:
    """A user's array-like, sparse matrix or frame as a float array or CSR matrix; its entries are not checked yet."""
    _refuse_non_real(X, name)
    return check_array(X, accept_sparse="csr", dtype=DTYPES, ensure_all_finite=False, input_name=name)


def normalise(X: Matrix, *, pseudocount: float = 0.0, name: str = "X") -> Distributions:
    """Divide each row of a float array or CSR matrix by its sum, after adding ``pseudocount`` to every entry.

    Equal weights give equal rows to the bit, be they dense or sparse.
    """
    if sp.issparse(X):
        return _normalise_sparse(_canonical(X), pseudocount, name)
    smallest, largest = X.min(), X.max()
    if not (smallest >= 0 and np.isfinite(largest)):
        _refuse_entries(X, name)
    _refuse_large_pseudocount(largest, pseudocount, name)
    weights = np.ascontiguousarray(X)  # a division keeps the layout, and the kernels sum in the order of memory
    totals = _totals_of_dense(weights, pseudocount)
    if not np.isfinite(totals).all():  # a sum of entries near the largest float overflows, one of their ratios does not
        scale = _towards_one(largest + pseudocount)
        scaled, added = weights.astype(np.float64) * scale, pseudocount * scale
        totals = _totals_of_dense(scaled, added)
    else:
        scaled, added = weights, pseudocount
    _refuse_empty_rows(totals, name)
    values = _shares(scaled, added, totals[:, np.newaxis], X.dtype)
    may_be_lost = (smallest + pseudocount) / totals.max() < np.finfo(X.dtype).tiny
    if may_be_lost and np.count_nonzero(values) < np.count_nonzero(weights + pseudocount):
        row, column = np.argwhere((values == 0) & (weights + pseudocount > 0))[0]
        _refuse_lost_entry(name, int(row), int(column), X[row, column], pseudocount, X.dtype)
    return Distributions(values)


def _normalise_sparse(rows: Matrix, pseudocount: float, name: str) -> Distributions:
    if rows.nnz and not (rows.data.min() >= 0 and np.isfinite(rows.data.max())):
        _refuse_entries(rows, name)
    largest = rows.data.max(initial=0)
    _refuse_large_pseudocount(largest, pseudocount, name)
    n_bins, lengths = rows.shape[1], np.diff(rows.indptr)
    data, added = rows.data.astype(np.float64, copy=False), pseudocount
    totals = _totals(data, rows.indptr[:-1], lengths, added * n_bins)
    if not np.isfinite(totals).all():
        scale = _towards_one(largest + pseudocount)
        data, added = data * scale, pseudocount * scale
        totals = _totals(data, rows.indptr[:-1], lengths, added * n_bins)
    _refuse_empty_rows(totals, name)
    values = _shares(data, added, np.repeat(totals, lengths), rows.dtype)
    if not values.all():
        lost = int(np.argmin(values))
        row = int(np.searchsorted(rows.indptr, lost, side="right")) - 1
        _refuse_lost_entry(name, row, int(rows.indices[lost]), rows.data[lost], pseudocount, rows.dtype)
    background = None
    if pseudocount:
        background = _shares(np.zeros((len(totals), 1)), added, totals[:, np.newaxis], rows.dtype)
        lost_in = np.flatnonzero((background[:, 0] == 0) & (lengths < n_bins))
        if lost_in.size:
            row = int(lost_in[0])
            stored = rows.indices[rows.indptr[row] : rows.indptr[row + 1]]
            column = int(np.setdiff1d(np.arange(len(stored) + 1), stored)[0])
            _refuse_lost_entry(name, row, column, 0.0, pseudocount, rows.dtype)
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


def _refuse_large_pseudocount(largest: float, pseudocount: float, name: str) -> None:
    if not np.isfinite(float(largest) + pseudocount):
        raise ValueError(
            f"pseudocount = {pseudocount} added to the entries of {name} is not finite; pass a smaller one."
        )


def _refuse_lost_entry(
    name: str, row: int, column: int, value: float, pseudocount: float, dtype: np.dtype[Any]
) -> NoReturn:
    entry, remedy = f"{name}[{row}, {column}] = {value}", "Set it to 0 yourself, or pass float64."
    if pseudocount:
        entry, remedy = f"{entry} with pseudocount = {pseudocount}", "Pass a larger pseudocount, or float64."
    raise ValueError(
        f"{entry} is so small beside the sum of its row that it would become 0 in {dtype} once normalised. {remedy}"
    )


def refuse_masked(X: MatrixLike, name: str) -> None:
    """A mask would be dropped silently."""
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be ignored; fill it first, as {name}.filled(0).")


def _refuse_non_real(X: MatrixLike, name: str) -> None:
    """Complex numbers, and objects that only might be numbers, have no place in a distribution."""
    refuse_masked(X, name)
    if hasattr(X, "columns"):  # a frame: its columns' own types are check_array's business
        return
    array: Matrix = X if sp.issparse(X) else np.asarray(X)
    if array.dtype.kind in "fiub":
        return
    entry = ""
    if array.ndim == 2 and array.size and not sp.issparse(array):
        is_number = [isinstance(value, Real) for value in array.flat]
        row, column = np.unravel_index(np.argmin(is_number), array.shape)
        entry = f": {name}[{row}, {column}] = {array[row, column]!r}"
    raise TypeError(
        f"{name} must hold real numbers, but its dtype is {array.dtype}{entry}. "
        f"Convert it first, for instance with {name}.astype(float)."
    )


def _refuse_entries(X: Matrix, name: str) -> NoReturn:
    """Name the first entry that is NaN, infinite or negative."""
    data = X.data if sp.issparse(X) else X
    position = int(np.argmin((data >= 0) & np.isfinite(data)))
    if sp.issparse(X):
        row, column = np.searchsorted(X.indptr, position, side="right") - 1, X.indices[position]
    else:
        row, column = np.unravel_index(position, X.shape)
    value = data.flat[position]
    entry = f"{name}[{row}, {column}] = {value}"
    if np.isnan(value):
        raise ValueError(
            f"Input {name} contains NaN: {entry}. An empty bin is 0; drop or impute a row with unknown bins."
        )
    if np.isinf(value):
        raise ValueError(f"Input {name} contains inf or -inf: {entry}. Weights must be finite.")
    raise ValueError(
        f"Negative values in data passed to {name}: {entry}. Rows must be non-negative weights, "
        "such as counts or probabilities; undo a centring or a logarithm first."
    )


def _refuse_empty_rows(totals: FloatArray, name: str) -> None:
    empty = np.flatnonzero(totals == 0)
    if empty.size:
        others = f" (and {empty.size - 1} more rows)" if empty.size > 1 else ""
        raise ValueError(
            f"{name}[{empty[0]}] sums to 0{others}: an all-zero row is not a distribution. "
            "Drop it, or pass pseudocount > 0 to make it uniform."
        )
