"""Refuse sparse matrices whose indices are broken, by the row, the column and what to do."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

_REBUILD = "Its indices are broken; make the matrix anew, for instance from rows and columns by scipy.sparse.coo_array."


def refuse_broken_indices(X: Any, name: str) -> None:
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


def _refuse_broken_lists(X: Any, name: str) -> None:
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


def _refuse_broken_pointers(X: Any, n: int, name: str) -> None:
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
