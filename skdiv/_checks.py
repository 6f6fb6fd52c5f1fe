"""What a user passes is checked here: an error names the argument, the row, the value and the remedy."""

from __future__ import annotations

from numbers import Real
from typing import Any, NoReturn, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.utils import check_array, check_scalar

from skdiv._terms import FloatArray

MatrixLike: TypeAlias = ArrayLike | sp.sparray | sp.spmatrix  # what a user may pass; frames are array-like
Matrix: TypeAlias = Any  # a float array, or CSR, which has no static type

DTYPES = (np.float64, np.float32)
_LARGEST_WEIGHT = 1e100  # of a row: the products of two, and what sums of them are divided by, stay within range


def as_weights(X: MatrixLike, name: str = "X") -> Matrix:
    """A user's array-like, sparse matrix or frame as a float array or CSR matrix; its entries are not checked yet."""
    _refuse_non_real(X, name)
    return check_array(X, accept_sparse="csr", dtype=DTYPES, ensure_all_finite=False, input_name=name)


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


def check_pseudocount(pseudocount: float) -> float:
    """A finite real number, not negative."""
    value = check_scalar(pseudocount, "pseudocount", Real, min_val=0, include_boundaries="left")
    if not np.isfinite(value):
        raise ValueError(f"pseudocount = {pseudocount} must be finite.")
    return float(value)


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


def refuse_entries(X: Matrix, name: str) -> NoReturn:
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


def refuse_empty_rows(totals: FloatArray, name: str) -> None:
    empty = np.flatnonzero(totals == 0)
    if empty.size:
        others = f" (and {empty.size - 1} more rows)" if empty.size > 1 else ""
        raise ValueError(
            f"{name}[{empty[0]}] sums to 0{others}: an all-zero row is not a distribution. "
            "Drop it, or pass pseudocount > 0 to make it uniform."
        )


def refuse_large_pseudocount(largest: float, pseudocount: float, name: str) -> None:
    if not np.isfinite(float(largest) + pseudocount):
        raise ValueError(
            f"pseudocount = {pseudocount} added to the entries of {name} is not finite; pass a smaller one."
        )


def refuse_lost_entry(
    name: str, row: int, column: int, value: float, pseudocount: float, dtype: np.dtype[Any]
) -> NoReturn:
    entry, remedy = f"{name}[{row}, {column}] = {value}", "Set it to 0 yourself, or pass float64."
    if pseudocount:
        entry, remedy = f"{entry} with pseudocount = {pseudocount}", "Pass a larger pseudocount, or float64."
    raise ValueError(
        f"{entry} is so small beside the sum of its row that it would become 0 in {dtype} once normalised. {remedy}"
    )
