"""From what a user passes to validated, normalised rows. Nothing is dropped, clipped, smoothed or modified."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Distributions:
    """Rows that each sum to one: a dense array, or CSR.

    A pseudocount keeps CSR rows sparse: ``background``, of shape (n, 1), is what it puts into *every* entry of a row.
    """

    values: Matrix
    background: FloatArray | None = None

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

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Distributions:
        background = None if self.background is None else self.background[rows]
        return Distributions(self.values[rows], background)

    def astype(self, dtype: np.dtype[Any]) -> Distributions:
        """The same rows in another precision; themselves if they have it."""
        if self.dtype == dtype:
            return self
        background = None if self.background is None else self.background.astype(dtype)
        return Distributions(self.values.astype(dtype), background)

    def dense(self) -> FloatArray:
        """The rows as an array; the array itself if it is one."""
        array: FloatArray = self.values.toarray() if sp.issparse(self.values) else self.values
        if self.background is not None:
            array += self.background
        return array


def check_pseudocount(pseudocount: float) -> float:
    """A finite real number, not negative."""
    value = check_scalar(pseudocount, "pseudocount", Real, min_val=0, include_boundaries="left")
    if not np.isfinite(value):
        raise ValueError(f"pseudocount = {pseudocount} must be finite.")
    return float(value)


def as_distributions(X: MatrixLike, *, pseudocount: float = 0.0, name: str = "X") -> Distributions:
    """Check a user's array-like, sparse matrix or frame and normalise its rows."""
    _refuse_non_real(X, name)
    array = check_array(X, accept_sparse="csr", dtype=DTYPES, ensure_all_finite=False, input_name=name)
    return normalise(array, pseudocount=pseudocount, name=name)


def normalise(X: Matrix, *, pseudocount: float = 0.0, name: str = "X") -> Distributions:
    """Divide each row of a float array or CSR matrix by its sum, after adding ``pseudocount`` to every entry."""
    if sp.issparse(X):
        return _normalise_sparse(X, pseudocount, name)
    if not X.min(initial=0) >= 0 or not np.isfinite(X.max(initial=0)):
        _refuse_entries(X, name)
    weights = np.ascontiguousarray(X)  # else rows are summed in another order, and bits depend on the layout
    if pseudocount:
        weights = weights + X.dtype.type(pseudocount)
    with np.errstate(over="ignore"):
        totals = weights.sum(axis=1, dtype=np.float64, keepdims=True)
    if not np.isfinite(totals).all():  # a sum of entries near the largest float overflows, one of their ratios does not
        largest = weights.max(axis=1, keepdims=True)
        weights = weights / np.where(largest > 0, largest, 1)
        totals = weights.sum(axis=1, dtype=np.float64, keepdims=True)
    _refuse_empty_rows(totals, name)
    with np.errstate(under="ignore"):
        return Distributions(np.divide(weights, totals).astype(X.dtype, copy=False))


def _normalise_sparse(X: Matrix, pseudocount: float, name: str) -> Distributions:
    rows = sp.csr_array(X)  # shares its arrays with X
    if not rows.has_canonical_format or not rows.data.all():
        rows = rows.copy()
        rows.sum_duplicates()
        rows.eliminate_zeros()
    if rows.nnz and (not rows.data.min() >= 0 or not np.isfinite(rows.data.max())):
        _refuse_entries(rows, name)
    n_bins = rows.shape[1]
    lengths = np.diff(rows.indptr)
    data = rows.data.astype(np.float64, copy=False)
    with np.errstate(over="ignore"):
        totals = _row_sums(data, rows.indptr) + pseudocount * n_bins
    if not np.isfinite(totals).all():
        scale = data.max()
        data, pseudocount = data / scale, pseudocount / scale
        totals = _row_sums(data, rows.indptr) + pseudocount * n_bins
    _refuse_empty_rows(totals[:, None], name)
    values = sp.csr_array(
        ((data / np.repeat(totals, lengths)).astype(X.dtype), rows.indices, rows.indptr), shape=rows.shape
    )
    background = (pseudocount / totals[:, None]).astype(X.dtype) if pseudocount else None
    return Distributions(values, background)


def _row_sums(data: FloatArray, indptr: NDArray[np.integer[Any]]) -> FloatArray:
    """Sums of a CSR matrix's rows; reduceat has no notion of an empty row, so those stay out of its sight."""
    filled = np.diff(indptr) > 0
    sums = np.zeros(len(indptr) - 1)
    if filled.any():
        sums[filled] = np.add.reduceat(data, indptr[:-1][filled])
    return sums


def _refuse_non_real(X: MatrixLike, name: str) -> None:
    """Complex numbers, and objects that only might be numbers, have no place in a distribution."""
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
