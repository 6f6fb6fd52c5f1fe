"""Checks of what a user passes: each error names the argument, the row, the value and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils import check_array, check_scalar

from skdiv._utils.typing import FloatArray

MatrixLike: TypeAlias = ArrayLike | sp.sparray | sp.spmatrix  # what a user may pass; frames are array-like
Matrix: TypeAlias = Any  # a float array, or CSR, which has no static type

DTYPES = (np.float64, np.float32)
_REAL = "fiub"  # kinds of dtypes: floats, integers with and without a sign, and booleans
_LARGEST_WEIGHT = 1e100  # of a row: products of two weights and quotients of their sums do not overflow or underflow


# --- What messages call things ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Names:
    """How messages name an argument, its rows and its entries: by position, and in a frame by label as well."""

    argument: str = "X"
    frame: Any = None

    def __str__(self) -> str:
        """Return the name of the argument."""
        return self.argument

    @property
    def columns(self) -> list[Any]:
        """Return the labels of the columns, or an empty list if the argument is not a frame."""
        return [] if self.frame is None else list(self.frame.columns)

    @property
    def labels(self) -> ColumnLabels:
        """Return the labels of the columns, and whether somebody gave them.

        pandas numbers columns that were given none by a RangeIndex from 0 on; given labels are another kind of index.
        """
        columns = getattr(self.frame, "columns", None)
        is_numbered = getattr(columns, "start", None) == 0 and getattr(columns, "step", None) == 1
        return ColumnLabels(self.columns, not is_numbered)

    @property
    def index(self) -> Any:
        """Return the labels of the rows if the argument is a frame of pandas, else None."""
        return getattr(self.frame, "index", None)

    def row(self, i: int) -> str:
        """Return the name of row i for a message, such as ``X[1] ('oslo')``."""
        label = self._label_of_row(i)
        return f"{self}[{i}]" if label is None else f"{self}[{i}] ({label!r})"

    def entry(self, i: int, j: int) -> str:
        """Return the name of the entry in row i and column j for a message, such as ``X[1, 2] ('oslo', 'rain')``."""
        row, column = self._label_of_row(i), _label(self.columns, j)
        labels = f" ({row!r}, {column!r})"
        if row is None or column is None:
            named = [(what, label) for what, label in (("row", row), ("column", column)) if label is not None]
            labels = "".join(f" ({what} {label!r})" for what, label in named)
        return f"{self}[{i}, {j}]{labels}"

    def _label_of_row(self, i: int) -> Any:
        """Return the label of row i, or None if it has none or one that equals i."""
        return None if self.index is None else _label(self.index, i)


UNNAMED = Names()


def names_of(X: Any, argument: str = "X") -> Names:
    """Return the `Names` of an argument; only a frame, of pandas, polars or a similar library, has labels."""
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        raise TypeError(f"{argument} is a lazy frame, which holds no numbers yet; pass {argument}.collect().")
    return Names(argument, X if hasattr(X, "columns") and hasattr(type(X), "dtypes") else None)


def _label(labels: Sequence[Any], place: int) -> Any:
    """Return the label at a position, or None if there are no labels or the label is the position itself."""
    label = _plain(labels[place]) if len(labels) else None
    return None if _same(label, place) else label


def _plain(label: Any) -> Any:
    """Return a label as a plain Python object; the repr of a NumPy scalar would show its type in a message."""
    if isinstance(label, tuple):
        return tuple(map(_plain, label))
    return label.item() if isinstance(label, np.generic) else label


def _same(one: Any, other: Any) -> bool:
    """Return whether two labels are equal.

    They are compared as members of a set: ``==`` with pandas.NA gives no truth value.
    """
    return len({one, other}) == 1 or repr(one) == repr(other)


class ColumnLabels(NamedTuple):
    """The labels of the columns of a frame, an empty list for what is not a frame, and whether they were given."""

    columns: list[Any]
    given: bool


def refuse_other_columns(one: ColumnLabels, other: ColumnLabels, owners: tuple[str, str], remedy: str) -> None:
    """Refuse two frames whose columns have different labels, or the same labels in another order.

    Columns are matched by their positions, which would silently compare different bins. The numbers of a frame that
    was given no labels are labels only if the other frame has some of them in other places. ``owners`` are the names of
    the two frames, and ``remedy`` is added to the message if only the order differs.
    """
    if len(one.columns) != len(other.columns):
        return
    shared, both_given = set(one.columns) & set(other.columns), one.given and other.given
    for place, (label, its_label) in enumerate(zip(one.columns, other.columns, strict=True)):
        if not _same(label, its_label) and (both_given or label in shared or its_label in shared):
            raise ValueError(
                f"Column {place} of {owners[0]} is {label!r} and of {owners[1]} {its_label!r}, but the bins of both "
                f"must be the same and in one order{remedy if set(one.columns) == set(other.columns) else ''}."
            )


# --- What is not made of real numbers --------------------------------------------------------------------------------


def as_weights(X: MatrixLike, names: Names) -> Matrix:
    """Convert a user's array-like, sparse matrix or frame to a float array or CSR matrix; entries are not checked."""
    refuse_what_is_not_real(X, names)
    return as_array(X, accept_sparse="csr", dtype=DTYPES, ensure_all_finite=False, input_name=names.argument)


def as_array(X: Any, **settings: Any) -> Matrix:
    """Do what ``check_array`` does; COO adds repeated entries in its own dtype, in which sums of integers may wrap."""
    return check_array(X.astype(np.float64) if sp.issparse(X) and X.dtype.kind in "iub" else X, **settings)


def refuse_what_is_not_real(X: MatrixLike, names: Names, also: str = "") -> None:
    """Refuse input that scikit-learn would convert or drop silently, or that would make SciPy crash.

    That is a mask, text, dates and the like, numbers beyond float64, and sparse matrices with broken indices. Dtypes
    whose NumPy kind is in ``also`` are accepted too, but every object in an array of objects must be a real number.
    """
    refuse_masked(X, names.argument)
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
            return
        row, column = _place(array, int(is_number.argmin()))
        entry = f": {names.entry(row, column)} = {array[row, column]!r}"
        if names.frame is not None:
            remedy = _remedy_for_column(names, names.columns[column])
    raise TypeError(f"{names} must hold real numbers, but its dtype is {array.dtype}{entry}. {remedy}")


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
    array = np.asarray(vector)
    if array.dtype.kind not in _REAL:
        raise TypeError(f"{name} must hold real numbers, but its dtype is {array.dtype}.")
    i = _first_beyond(array, np.float64) if _is_extended(array.dtype) else None
    if i is not None:
        place = tuple(map(int, np.unravel_index(i, array.shape)))
        raise ValueError(
            f"{name}[{', '.join(map(str, place))}] = {array[place]!s} is beyond the range of float64; rescale "
            f"{name} first."
        )
    return array.astype(np.float64)


# --- Sparse matrices -------------------------------------------------------------------------------------------------


def refuse_broken_indices(X: Matrix, name: str) -> None:
    """Refuse a sparse matrix with indices beyond its shape, for which SciPy would read memory that is not its own."""
    if X.ndim != 2:
        return
    if X.format == "lil":
        _refuse_broken_lists(X, name)
    elif X.format == "coo":
        for axis in (0, 1):
            k = _first_outside(X.coords[axis], X.shape[axis])
            if k is not None:
                _refuse_index(name, axis, X.coords[1 - axis][k], X.coords[axis][k], X.shape[axis])
    elif X.format in ("csr", "csc", "bsr"):
        axis = 0 if X.format == "csc" else 1
        block = X.blocksize if X.format == "bsr" else (1, 1)
        _refuse_broken_pointers(X, X.shape[1 - axis] // block[1 - axis], name)
        k = _first_outside(X.indices, X.shape[axis] // block[axis])
        if k is not None:
            place = int(np.searchsorted(X.indptr, k, side="right")) - 1
            _refuse_index(name, axis, place * block[1 - axis], X.indices[k] * block[axis], X.shape[axis])


def _refuse_broken_lists(X: Matrix, name: str) -> None:
    """Refuse a LIL matrix with a row that has indices beyond the shape, or not as many indices as values."""
    if not len(X.rows) == len(X.data) == X.shape[0]:
        raise ValueError(
            f"{name} has {X.shape[0]} rows, but lists of columns for {len(X.rows)} and of values for {len(X.data)}. "
            f"{_REBUILD}"
        )
    for i, (columns, values) in enumerate(zip(X.rows, X.data, strict=True)):
        if len(columns) != len(values):
            raise ValueError(f"{name}[{i}] has entries in {len(columns)} columns, but {len(values)} values. {_REBUILD}")
        k = _first_outside(np.asarray(columns), X.shape[1])
        if k is not None:
            _refuse_index(name, 1, i, columns[k], X.shape[1])


def _refuse_broken_pointers(X: Matrix, n: int, name: str) -> None:
    """Refuse a CSR, CSC or BSR matrix whose ``indptr`` does not divide its entries into n rows (or columns)."""
    pointers, n_entries = X.indptr, min(len(X.indices), len(X.data))
    falls = np.flatnonzero(pointers[1:] < pointers[:-1])
    if len(pointers) != n + 1:
        fault = f"it holds {len(pointers)} numbers for {n}"
    elif pointers[0] != 0:
        fault = f"it starts at {pointers[0]}"
    elif falls.size:
        k = falls[0]
        fault = f"indptr[{k}] = {pointers[k]} and indptr[{k + 1}] = {pointers[k + 1]}"
    elif pointers[-1] != n_entries:
        fault = f"it ends at {pointers[-1]}"
    else:
        return
    raise ValueError(
        f"indptr of {name} must go from 0 to the number of entries, {n_entries}, and never fall, but {fault}. "
        f"{_REBUILD}"
    )


def _first_outside(indices: NDArray[np.integer[Any]], n: int) -> int | None:
    """Return the position of the first index that is not from 0 to n − 1; None if there is none."""
    if not len(indices) or (indices.min() >= 0 and indices.max() < n):
        return None
    return int(np.argmax((indices < 0) | (indices >= n)))


def _refuse_index(name: str, axis: int, place: int, index: int, n: int) -> NoReturn:
    """Raise the error about an index beyond the n columns (axis 1), found in row ``place``, or the reverse (axis 0)."""
    where, what = (f"{name}[{place}]", "column") if axis == 1 else (f"{name}[:, {place}]", "row")
    raise ValueError(f"{where} has an entry in {what} {index}, but {name} has {n} {what}s. {_REBUILD}")


_REBUILD = "Its indices are broken; make the matrix anew, for instance from rows and columns by scipy.sparse.coo_array."


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
