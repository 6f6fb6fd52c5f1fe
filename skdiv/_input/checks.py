"""What a user passes is checked here: an error names the argument, the row, the value and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NoReturn, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_scalar

from skdiv._utils.typing import FloatArray

MatrixLike: TypeAlias = ArrayLike | sp.sparray | sp.spmatrix  # what a user may pass; frames are array-like
Matrix: TypeAlias = Any  # a float array, or CSR, which has no static type

DTYPES = (np.float64, np.float32)
_REAL = "fiub"  # kinds of dtypes: floats, integers with and without a sign, and booleans
_LARGEST_WEIGHT = 1e100  # of a row: the products of two, and what sums of them are divided by, stay within range


# --- What messages call things ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Names:
    """What messages call an argument, its rows and its entries: their places, and in a frame their labels as well."""

    argument: str = "X"
    frame: Any = None

    def __str__(self) -> str:
        return self.argument

    @property
    def columns(self) -> list[Any]:
        """The labels of the columns; there are none if the argument is no frame."""
        return [] if self.frame is None else list(self.frame.columns)

    def row(self, i: int) -> str:
        """Return what messages call a row: ``X[1] ('oslo')``."""
        label = self._label_of_row(i)
        return f"{self}[{i}]" if label is None else f"{self}[{i}] ({label!r})"

    def entry(self, i: int, j: int) -> str:
        """Return what messages call an entry: ``X[1, 2] ('oslo', 'rain')``."""
        row, column = self._label_of_row(i), _label(self.columns, j)
        labels = f" ({row!r}, {column!r})"
        if row is None or column is None:
            named = [(what, label) for what, label in (("row", row), ("column", column)) if label is not None]
            labels = "".join(f" ({what} {label!r})" for what, label in named)
        return f"{self}[{i}, {j}]{labels}"

    def _label_of_row(self, i: int) -> Any:
        return _label(getattr(self.frame, "index", ()), i)


UNNAMED = Names()


def names_of(X: Any, argument: str = "X") -> Names:
    """Return the names of an argument, which has labels if it is a frame of pandas, polars or their like."""
    return Names(argument, X if hasattr(X, "columns") and hasattr(type(X), "dtypes") else None)


def _label(labels: Sequence[Any], place: int) -> Any:
    """Return the label at a place, or None if it tells no more than the place does."""
    label = _plain(labels[place]) if len(labels) else None
    return None if _same(label, place) else label


def _plain(label: Any) -> Any:
    """Return a label without NumPy's types, which its repr would name."""
    if isinstance(label, tuple):
        return tuple(map(_plain, label))
    return label.item() if isinstance(label, np.generic) else label


def _same(one: Any, other: Any) -> bool:
    """Whether two labels are equal; a set compares them without asking pandas.NA, which has no answer."""
    return len({one, other}) == 1 or repr(one) == repr(other)


def refuse_other_columns(columns: list[Any], others: list[Any], owners: tuple[str, str], remedy: str) -> None:
    """Columns are matched by their places, which for two frames must not be other than by their labels.

    A frame that was given no labels has the integers from 0 on, which are labels only if the other frame has them too.
    """
    if len(columns) != len(others):
        return
    shared = set(columns) & set(others)
    unnamed = any(all(_same(label, place) for place, label in enumerate(labels)) for labels in (columns, others))
    for place, (one, other) in enumerate(zip(columns, others, strict=True)):
        if not _same(one, other) and (not unnamed or one in shared or other in shared):
            raise ValueError(
                f"Column {place} of {owners[0]} is {one!r} and of {owners[1]} {other!r}, but the bins of both must be "
                f"the same and in one order{remedy if set(columns) == set(others) else ''}."
            )


# --- What is not made of real numbers --------------------------------------------------------------------------------


def as_weights(X: MatrixLike, names: Names) -> Matrix:
    """A user's array-like, sparse matrix or frame as a float array or CSR matrix; its entries are not checked yet."""
    refuse_what_is_not_real(X, names)
    return check_array(X, accept_sparse="csr", dtype=DTYPES, ensure_all_finite=False, input_name=names.argument)


def refuse_what_is_not_real(X: MatrixLike, names: Names, also: str = "") -> None:
    """Refuse what scikit-learn would convert or drop without a word, or what would make SciPy crash.

    Dtypes of the kinds in ``also`` are let through as well; each of objects has to be a real number nevertheless.
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
    """A mask would be dropped silently."""
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be ignored; fill it first, as {name}.filled(0).")
    if isinstance(X, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in X):
        raise TypeError(
            f"{name} is a list with a masked array, whose mask would be ignored; fill it first, as row.filled(0)."
        )


def _dtypes_of_columns(names: Names, kinds: str) -> set[Any]:
    """Return the dtypes of a frame, or refuse its first column whose dtype is of another kind."""
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
    """Whether a column of a dtype holds numbers, or objects if these are of the kinds that are let through."""
    if hasattr(dtype, "is_numeric"):  # polars, which has a dtype of its own for a column in which all is missing
        return dtype.is_numeric() or str(dtype) in ("Boolean", "Null")
    return dtype.kind in kinds and (dtype.kind != "O" or dtype == np.dtype("O"))  # text and categories are no objects


def _remedy_for_column(names: Names, label: Any) -> str:
    if not hasattr(names.frame, "set_index"):
        return f"Drop it, as {names}.drop({label!r}), or convert it, as {names}.cast({{{label!r}: float}})."
    return (
        f"If it names the rows, make it the index, as {names}.set_index({label!r}); if it holds numbers, convert it, "
        f"as {names}.astype({{{label!r}: float}}); else drop it, as {names}.drop(columns={label!r})."
    )


def _refuse_dtype(array: Matrix, names: Names, *, may_be_objects: bool) -> None:
    """Refuse an array by its dtype and name the first entry that is no number; let objects pass that may be and are."""
    entry = ""
    remedy = (
        "The argument must be converted first, be it from strings, to real numbers, for instance with "
        f"{names}.astype(float)."
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
    return isinstance(value, Real) and not isinstance(value, np.timedelta64)  # which NumPy derives from integers


def _is_extended(dtype: Any) -> bool:
    """Whether a dtype has numbers that double precision has not."""
    return isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize > 8


def _refuse_beyond_double(array: Matrix, names: Names) -> None:
    """Name the first number that would become infinite, or 0, in double precision."""
    rows = array.tocsr() if sp.issparse(array) else array
    data = rows.data if sp.issparse(rows) else rows.ravel()
    position = _first_beyond_double(data)
    if position is not None:
        raise ValueError(
            f"{names.entry(*_place(rows, position))} = {data[position]!s} is beyond the range of float64. Divide the "
            "row by its sum first; an entry that is too small even so has to be set to 0."
        )


def _first_beyond_double(data: NDArray[Any]) -> int | None:
    """Return the position of the first number that would become infinite, or 0, in double precision."""
    with np.errstate(over="ignore", under="ignore"):
        doubles = data.astype(np.float64, copy=False)
    lost = (np.isinf(doubles) & np.isfinite(data)) | ((doubles == 0) & (data != 0))
    return int(lost.argmax()) if lost.any() else None


def as_doubles(vector: ArrayLike, name: str) -> FloatArray:
    """A user's vector in double precision; its shape and its entries are not checked yet."""
    refuse_masked(vector, name)
    array = np.asarray(vector)
    if array.dtype.kind not in _REAL:
        raise TypeError(f"{name} must hold real numbers, but its dtype is {array.dtype}.")
    i = _first_beyond_double(array) if _is_extended(array.dtype) else None
    if i is not None:
        raise ValueError(f"{name}[{i}] = {array[i]!s} is beyond the range of float64; divide {name} by its sum first.")
    return array.astype(np.float64)


# --- Sparse matrices -------------------------------------------------------------------------------------------------


def refuse_broken_indices(X: Matrix, name: str) -> None:
    """Refuse indices beyond the shape of a sparse matrix, by which SciPy would reach memory of others."""
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
    for i, (columns, values) in enumerate(zip(X.rows, X.data, strict=True)):
        if len(columns) != len(values):
            raise ValueError(f"{name}[{i}] has entries in {len(columns)} columns, but {len(values)} values. {_REBUILD}")
        k = _first_outside(np.asarray(columns), X.shape[1])
        if k is not None:
            _refuse_index(name, 1, i, columns[k], X.shape[1])


def _refuse_broken_pointers(X: Matrix, n: int, name: str) -> None:
    """Refuse starts of the n rows (or columns) of a compressed matrix that do not lie in its entries, in order."""
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
    """Return the position of the first index that is not from 0 to n − 1."""
    if not len(indices) or (indices.min() >= 0 and indices.max() < n):
        return None
    return int(np.argmax((indices < 0) | (indices >= n)))


def _refuse_index(name: str, axis: int, place: int, index: int, n: int) -> NoReturn:
    where, what = (f"{name}[{place}]", "column") if axis == 1 else (f"{name}[:, {place}]", "row")
    raise ValueError(f"{where} has an entry in {what} {index}, but {name} has {n} {what}s. {_REBUILD}")


_REBUILD = "Its indices are broken; make the matrix anew, for instance from rows and columns by scipy.sparse.coo_array."


# --- Parameters ------------------------------------------------------------------------------------------------------


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
    masses = as_doubles(sample_weight, "sample_weight")
    if masses.shape != (n,):
        raise ValueError(
            f"sample_weight must be a vector of one weight for each of the {n} rows of X, but its shape is "
            f"{masses.shape}. numpy.ravel makes a vector of the sums of a scipy.sparse matrix."
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
    """Return row and column of an entry, from its position among the entries of CSR or of a whole array."""
    if sp.issparse(X):
        return int(np.searchsorted(X.indptr, position, side="right")) - 1, int(X.indices[position])
    row, column = divmod(position, int(X.shape[1]))
    return row, column


def as_counts(X: Matrix, reason: str, names: Names = UNNAMED) -> Matrix:
    """A float array or CSR matrix of whole numbers, in double precision; ``reason``: why others will not do."""
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


def refuse_entries(X: Matrix, names: Names) -> NoReturn:
    """Name the first entry that is NaN, infinite or negative."""
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
    """Refuse what is no distance in a matrix of a user's."""
    if D.min() >= 0 and np.isfinite(D.max()):
        return
    position = int(np.argmin((D >= 0) & np.isfinite(D)))
    value = D.flat[position]
    kind = "NaN or inf" if not np.isfinite(value) else "Negative values in data"
    raise ValueError(
        f"{kind} passed to {names}: precomputed {names.entry(*_place(D, position))} = {value}. Distances are finite "
        "and not negative; a pseudocount or a bounded divergence keeps them finite."
    )


def refuse_empty_rows(totals: FloatArray, names: Names) -> None:
    """Name the first row without mass."""
    empty = np.flatnonzero(totals == 0)
    if empty.size:
        others = f" (and {empty.size - 1} more rows)" if empty.size > 1 else ""
        raise ValueError(
            f"{names.row(int(empty[0]))} sums to 0{others}: an all-zero row is not a distribution. "
            "Drop it, or pass pseudocount > 0 to make it uniform."
        )


def refuse_large_pseudocount(largest: float, pseudocount: float, names: Names) -> None:
    """Refuse a pseudocount that makes an entry infinite."""
    if not np.isfinite(float(largest) + pseudocount):
        raise ValueError(
            f"pseudocount = {pseudocount} added to the entries of {names} is not finite; pass a smaller one."
        )


def refuse_lost_entry(
    names: Names, row: int, column: int, value: float, pseudocount: float, dtype: np.dtype[Any]
) -> NoReturn:
    """Name an entry that has mass, and would have none as a share of its row."""
    entry, remedy = f"{names.entry(row, column)} = {value}", "Set it to 0 yourself, or pass float64."
    if pseudocount:
        entry, remedy = f"{entry} with pseudocount = {pseudocount}", "Pass a larger pseudocount, or float64."
    raise ValueError(
        f"{entry} is so small beside the sum of its row that it would become 0 in {dtype} once normalised. {remedy}"
    )
