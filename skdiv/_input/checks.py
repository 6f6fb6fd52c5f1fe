"""Checks of what a user passes: each error names the argument, the row, the value and the remedy."""

from __future__ import annotations

import sys
from numbers import Real
from typing import Any, NoReturn, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils import check_array, check_scalar

from skdiv._input.arrays import (
    as_array,
    how_to_count_words,
    refuse_other_dimensions,
    refuse_sizes,
    without_sparse_columns,
)
from skdiv._input.indices import refuse_broken_indices
from skdiv._input.mistakes import warn_of_identifiers
from skdiv._input.names import UNNAMED, Names, refuse_mixed_items
from skdiv._utils.typing import FloatArray

MatrixLike: TypeAlias = ArrayLike | sp.sparray | sp.spmatrix  # what a user may pass; frames are array-like
Matrix: TypeAlias = Any  # a float array, or CSR, which has no static type

DTYPES = (np.float64, np.float32)
_REAL = "fiub"  # kinds of dtypes: floats, integers with and without a sign, and booleans
_LARGEST_WEIGHT = 1e100  # of a row: products of two weights and quotients of their sums do not overflow or underflow


# --- What is not made of real numbers --------------------------------------------------------------------------------


def as_weights(
    X: MatrixLike,
    names: Names,
    *,
    also: str = "",
    owner: str = "",
    min_samples: int = 1,
    min_bins: int = 2,
    distances: bool = False,
) -> Matrix:
    """Convert a user's array-like, sparse matrix or frame to a float array or CSR matrix; entries are not checked.

    For ``also`` see `refuse_what_is_not_real`, for the other arguments `refuse_sizes`. Over one bin all distributions
    are the same, so that is refused unless X holds ``distances`` or is compared with what was fitted.
    """
    array = unconverted(X, names)
    if owner and names.frame is None and array.dtype.kind == "c":  # the words of scikit-learn's check of estimators
        raise ValueError(f"Complex data not supported: {names} has dtype {array.dtype}. Pass real weights.")
    refuse_other_dimensions(array, names.argument, distances=distances)
    refuse_what_is_not_real(array, names, also)
    refuse_sizes(array, names.argument, min_samples=min_samples, min_bins=min_bins, owner=owner)
    if names.frame is not None:
        array = without_sparse_columns(array)
        if not distances:
            warn_of_identifiers(names.frame, names.columns, names.argument)
    dtypes = DTYPES if names.frame is not None or hasattr(X, "dtype") else np.float64  # A list has no dtype.
    array = added_in_double(array)
    return check_array(array, accept_sparse="csr", dtype=dtypes, ensure_all_finite=False, input_name=names.argument)


def added_in_double(X: Any) -> Any:
    """Return a sparse matrix of integers in double precision, and anything else as it is.

    COO adds repeated entries in its own dtype, in which their sum may not fit.
    """
    return X.astype(np.float64) if sp.issparse(X) and X.dtype.kind in "iub" else X


def unconverted(X: Any, names: Names) -> Any:
    """Return a frame or a sparse matrix as it is, and anything else as an array of its own dtype and shape."""
    refuse_masked(X, names.argument)
    refuse_mixed_items(names)
    return X if names.frame is not None else as_array(X, names.argument)


def refuse_what_is_not_real(X: MatrixLike, names: Names, also: str = "") -> None:
    """Refuse input that scikit-learn would convert or drop silently, or that would make SciPy crash.

    That is text, dates and the like, numbers beyond float64, and sparse matrices with broken indices. Dtypes
    whose NumPy kind is in ``also`` are accepted too, but every object in an array of objects must be a real number.
    """
    if sp.issparse(X):
        refuse_broken_indices(X, names.argument)
    if names.frame is not None:
        dtypes = _dtypes_of_columns(names, _REAL + also)
        if not any(dtype == np.dtype("O") or _is_extended(dtype) for dtype in dtypes):
            return
    array: Matrix = X if sp.issparse(X) else np.asarray(X)
    if array.dtype.kind not in _REAL + also.replace("O", ""):
        _refuse_dtype(array, names, may_be_objects="O" in also or names.frame is not None)
    if _is_extended(array.dtype) and array.ndim == 2:
        _refuse_beyond_double(array, names)


def refuse_masked(X: Any, name: str) -> None:
    """Refuse a masked array, or a list with one, because NumPy would ignore the mask silently."""
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be ignored; fill it first, as {name}.filled(0).")
    if isinstance(X, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in X):
        raise TypeError(
            f"{name} is a list with a masked array, whose mask would be ignored; fill it first, as row.filled(0)."
        )


def _dtypes_of_columns(names: Names, kinds: str) -> set[Any]:
    """Return the set of a frame's dtypes; refuse the frame if a column is not of one of these kinds of dtype."""
    dtypes = list(names.frame.dtypes)
    bad = [dtype for dtype in set(dtypes) if not _is_real(dtype, kinds)]
    if bad:
        place = min(map(dtypes.index, bad))
        label = names.columns[place]
        raise TypeError(
            f"Column {label!r} of {names} has dtype {dtypes[place]}, but bins must hold real numbers. "
            f"{_remedy_for_column(names, label)}"
        )
    return set(dtypes)


def _is_real(dtype: Any, kinds: str) -> bool:
    """Return whether a column of this dtype can hold real numbers: its kind has to be one of ``kinds``."""
    if hasattr(dtype, "is_numeric"):  # polars, which has a dtype of its own for a column in which all is missing
        return dtype.is_numeric() or str(dtype) in ("Boolean", "Null")
    return dtype.kind in kinds and (dtype.kind != "O" or dtype == np.dtype("O"))  # text and categories are no objects


def _remedy_for_column(names: Names, label: Any) -> str:
    """Return the part of a message that says what to do about a column that holds no numbers."""
    if not hasattr(names.frame, "set_index"):
        return f"Drop it, as {names}.drop({label!r}), or convert it, as {names}.cast({{{label!r}: float}})."
    return (
        f"If it names the rows, make it the index, as {names}.set_index({label!r}); if it holds numbers, convert it, "
        f"as {names}.astype({{{label!r}: float}}); else drop it, as {names}.drop(columns={label!r})."
    )


def _refuse_dtype(array: Matrix, names: Names, *, may_be_objects: bool) -> None:
    """Refuse an array for its dtype, and name its first entry that is not a real number.

    With ``may_be_objects`` an array whose entries are all real numbers is accepted.
    """
    entry = ""
    remedy = (
        "The argument must be an array in which strings and other objects are converted to numbers first, for instance "
        f"by numpy.asarray({names}, dtype=float)."
    )
    if array.ndim == 2 and array.size and not sp.issparse(array):
        is_number = np.array([_is_real_number(value) for value in array.flat])
        if may_be_objects and is_number.all():
            _refuse_large_integers(array, names)
            return
        row, column = _place(array, int(is_number.argmin()))
        entry = f": {names.entry(row, column)} = {array[row, column]!r}"
        if names.frame is not None:
            remedy = _remedy_for_column(names, names.columns[column])
        elif isinstance(array[row, column], str) and not _reads_as_number(array[row, column]):
            remedy += f" {how_to_count_words(names.argument)}"
    raise TypeError(f"{names} must hold real numbers, but its dtype is {array.dtype}{entry}. {remedy}")


def _reads_as_number(text: str) -> bool:
    """Return whether a text can be converted to a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refuse_large_integers(array: NDArray[Any], names: Names) -> None:
    """Refuse an array of objects with an integer that no double holds."""
    for place, value in np.ndenumerate(array):
        if isinstance(value, int) and abs(value) > sys.float_info.max:
            raise ValueError(f"{names.entry(*place)} is an integer beyond the range of float64. Divide its row first.")


def _is_real_number(value: Any) -> bool:
    """Return whether an object is a real number; NumPy derives its time differences from integers, but they are not."""
    return isinstance(value, Real) and not isinstance(value, np.timedelta64)


def _is_extended(dtype: Any) -> bool:
    """Return whether a dtype holds floating-point numbers that float64 cannot hold, such as ``numpy.longdouble``."""
    return isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize > 8


def _refuse_beyond_double(array: Matrix, names: Names) -> None:
    """Refuse an array with a number that would become infinite, or 0, in double precision, and name the first."""
    rows = array.tocsr() if sp.issparse(array) else array
    data = rows.data if sp.issparse(rows) else rows.ravel()
    position = _first_beyond(data, np.float64)
    if position is not None:
        raise ValueError(
            f"{names.entry(*_place(rows, position))} = {data[position]!s} is beyond the range of float64. Divide the "
            "row by its sum first; an entry that is too small even so has to be set to 0."
        )


def _first_beyond(data: NDArray[Any], dtype: DTypeLike) -> int | None:
    """Return the position of the first number that would become infinite, or 0, in a dtype; None if there is none."""
    with np.errstate(over="ignore", under="ignore"):
        cast = data.astype(dtype, copy=False)
    lost = (np.isinf(cast) & np.isfinite(data)) | ((cast == 0) & (data != 0))
    return int(lost.argmax()) if lost.any() else None


def in_precision_of_fit(X: Matrix, dtype: np.dtype[Any], names: Names) -> Matrix:
    """Return new rows in the precision of the fitted ones, for equal weights then give equal distributions.

    A number that would become infinite, or 0, is refused.
    """
    if X.dtype == dtype:
        return X
    data = X.data if sp.issparse(X) else X.ravel()
    position = _first_beyond(data, dtype)
    if position is not None:
        raise ValueError(
            f"{names.entry(*_place(X, position))} = {data[position]!s} is beyond the range of {dtype}, in which the "
            "model was fitted. Divide the row by its sum first, or fit the model in float64."
        )
    return X.astype(dtype)


def as_doubles(vector: ArrayLike, name: str) -> FloatArray:
    """Convert a user's vector to double precision, with its shape and its entries unchecked."""
    refuse_masked(vector, name)
    array = as_array(vector, name, is_table=False)
    if sp.issparse(array):
        raise TypeError(f"{name} is sparse, but must be dense; pass {name}.toarray().")
    if array.dtype.kind not in _REAL:
        raise TypeError(f"{name} must hold real numbers, but its dtype is {array.dtype}.")
    i = _first_beyond(array, np.float64) if _is_extended(array.dtype) else None
    if i is not None:
        place = tuple(map(int, np.unravel_index(i, array.shape)))
        raise ValueError(
            f"{name}[{', '.join(map(str, place))}] = {array[place]!s} is beyond the range of float64; rescale "
            f"{name} first."
        )
    doubles: FloatArray = array.astype(np.float64)
    return doubles


# --- Parameters ------------------------------------------------------------------------------------------------------


def check_pseudocount(pseudocount: float) -> float:
    """Return a user's pseudocount as a float, and refuse one that is negative or not finite."""
    value = check_scalar(pseudocount, "pseudocount", Real, min_val=0, include_boundaries="left")
    if not np.isfinite(value):
        raise ValueError(f"pseudocount = {pseudocount} must be finite.")
    return float(value)


def check_sample_weight(sample_weight: ArrayLike | None, n: int) -> FloatArray | None:
    """Return a user's weights of n rows in double precision, or None if no weights are given.

    A ValueError is raised unless there are n weights, each from 1 / `_LARGEST_WEIGHT` to `_LARGEST_WEIGHT`.
    """
    if sample_weight is None:
        return None
    masses = as_doubles(sample_weight, "sample_weight")
    if masses.shape != (n,):
        raise ValueError(
            f"sample_weight must be a vector of one weight for each of the {n} rows of X, but its shape is "
            f"{masses.shape}." + (" numpy.ravel makes a vector of it." if masses.ndim > 1 and masses.size == n else "")
        )
    bad = ~((masses >= 1 / _LARGEST_WEIGHT) & (masses <= _LARGEST_WEIGHT))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(
            f"sample_weight[{i}] = {masses[i]}, but a weight must be finite and above zero, from "
            f"{1 / _LARGEST_WEIGHT:g} to {_LARGEST_WEIGHT:g}; leave out rows that do not count."
        )
    return masses


# --- Entries and rows ------------------------------------------------------------------------------------------------


def _place(X: Matrix, position: int) -> tuple[int, int]:
    """Return row and column of the entry at a position, among the stored entries (CSR) or in the flattened array."""
    if sp.issparse(X):
        return int(np.searchsorted(X.indptr, position, side="right")) - 1, int(X.indices[position])
    row, column = divmod(position, int(X.shape[1]))
    return row, column


def as_counts(X: Matrix, reason: str, names: Names = UNNAMED) -> Matrix:
    """Return a float64 copy of an array or CSR matrix of counts; refuse one with a number that is not whole.

    ``reason`` ends the message, and says why only whole numbers will do.
    """
    counts: Matrix = sp.csr_array(X, dtype=np.float64, copy=True) if sp.issparse(X) else X.astype(np.float64)
    if sp.issparse(X):
        counts.sum_duplicates()
    data = counts.data if sp.issparse(X) else counts.ravel()
    broken = data != np.floor(data)
    if broken.any():
        position = int(broken.argmax())
        entry = names.entry(*_place(counts, position))
        raise ValueError(f"{entry} = {data[position]} is not a whole number, but {reason}")
    return counts


def refuse_what_is_no_weight(X: Matrix, names: Names) -> None:
    """Refuse an array or CSR matrix with an entry that is NaN, infinite or negative."""
    entries = X.data if sp.issparse(X) else X
    if not (entries.min(initial=0) >= 0 and np.isfinite(entries.max(initial=0))):
        refuse_entries(X, names)


def refuse_entries(X: Matrix, names: Names) -> NoReturn:
    """Raise the error about the first entry that is NaN, infinite or negative; there has to be one."""
    data = X.data if sp.issparse(X) else X.ravel()
    position = int(np.argmin((data >= 0) & np.isfinite(data)))
    value = data[position]
    entry = f"{names.entry(*_place(X, position))} = {value}"
    if np.isnan(value):
        fill = "fillna" if hasattr(names.frame, "fillna") else "fill_null"
        filled = "" if names.frame is None else f", as {names}.{fill}(0) makes it"
        raise ValueError(
            f"Input {names} contains NaN: {entry}. An empty bin is 0{filled}; drop or impute a row with unknown bins."
        )
    if np.isinf(value):
        raise ValueError(f"Input {names} contains inf or -inf: {entry}. Weights must be finite.")
    raise ValueError(
        f"Negative values in data passed to {names}: {entry}. Rows must be non-negative weights, "
        "such as counts or probabilities; undo a centring or a logarithm first."
    )


def check_distances(D: FloatArray, names: Names) -> None:
    """Refuse a user's matrix of distances that has an entry which is NaN, infinite or negative."""
    if D.min() >= 0 and np.isfinite(D.max()):
        return
    position = int(np.argmin((D >= 0) & np.isfinite(D)))
    value = D.flat[position]
    kind = "NaN or inf" if not np.isfinite(value) else "Negative values in data"
    raise ValueError(
        f"{kind} passed to {names}: precomputed {names.entry(*_place(D, position))} = {value}. Distances are finite "
        "and not negative; a pseudocount or a bounded divergence keeps them finite."
    )


def refuse_empty_rows(totals: FloatArray, names: Names, remedy: str) -> None:
    """Refuse rows that sum to 0, and name the first; ``totals`` are the sums of the rows."""
    empty = np.flatnonzero(totals == 0)
    if empty.size:
        others = f" (and {empty.size - 1} more rows)" if empty.size > 1 else ""
        raise ValueError(
            f"{names.row(int(empty[0]))} sums to 0{others}: an all-zero row is not a distribution. {remedy}"
        )


def refuse_large_pseudocount(largest: float, pseudocount: float, names: Names) -> None:
    """Refuse a pseudocount that makes an entry infinite; ``largest`` is the largest entry without it."""
    if not np.isfinite(float(largest) + pseudocount):
        raise ValueError(
            f"pseudocount = {pseudocount} added to the entries of {names} is not finite; pass a smaller one."
        )


def refuse_lost_entry(
    names: Names, row: int, column: int, value: float, pseudocount: float, dtype: np.dtype[Any]
) -> NoReturn:
    """Raise the error about a positive entry that would become 0 when it is divided by the sum of its row."""
    entry, remedy = f"{names.entry(row, column)} = {value}", "Set it to 0 yourself"
    if pseudocount:
        entry, remedy = f"{entry} with pseudocount = {pseudocount}", "Pass a larger pseudocount"
    remedy += "." if dtype == np.float64 else ", or pass float64."
    raise ValueError(
        f"{entry} is so small beside the sum of its row that it would become 0 in {dtype} once normalised. {remedy}"
    )
