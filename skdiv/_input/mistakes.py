"""Warn of input that can be computed with, but is hardly what was meant: distances or identifiers among the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from skdiv._utils.warnings import warn_caller

_FEWEST = 3  # rows that tell a matrix of distances, or a column of identifiers, from chance
_FEWEST_IN_ORDER = 6  # rows that tell identifiers in ascending order that do not go up by one from counts
_AT_A_TIME = 256  # rows that are compared with columns
_CLOSE = 1e-6  # relative to the largest entry: what rounding does to distances
_IDENTIFIERS = {"id", "_id", "index", "idx", "level_0", "row_id", "rowid", "unnamed: 0"}


def warn_of_distances(X: Any, name: str = "X") -> None:
    """Warn if a dense array of weights is what a matrix of distances is: square, symmetric, zero on the diagonal.

    A table of counts may be so as well, as that of how often two words occur together. Of distances 0 also says that
    two rows are equal, which tells most of such tables.
    """
    n = X.shape[0]
    if X.shape[1] != n or n < _FEWEST or sp.issparse(X):
        return
    top = X[0].max()
    if not (np.isfinite(top) and X[0, 0] <= _CLOSE * top > 0):  # Most tables end here.
        return
    if not (np.abs(np.diagonal(X)).max() <= _CLOSE * top and np.isfinite(X.max())):
        return
    if _are_distances(X, _CLOSE * float(X.max())):
        warn_caller(
            f"{name} is square and symmetric, and zero on its diagonal, as a matrix of distances is, but its rows are "
            "taken for distributions. If they are distances, pass metric='precomputed' to DivergenceClustering, or to "
            "an estimator of scikit-learn that takes it. If they are weights, silence this by "
            f"warnings.filterwarnings('ignore', message='{name} is square and symmetric')."
        )


def _are_distances(X: Any, tolerance: float) -> bool:
    """Return whether a square array is symmetric and not negative, and two rows at distance 0 are equal."""
    for start in range(0, len(X), _AT_A_TIME):
        rows = X[start : start + _AT_A_TIME]
        if not (rows.min() >= 0 and np.abs(rows - X[:, start : start + _AT_A_TIME].T).max() <= tolerance):
            return False
        equal = X.shape[1] - 1 - (rows <= tolerance)[:, ::-1].argmax(axis=1)  # the last row at 0, or the row itself
        if np.abs(rows - X[equal]).max() > 2 * tolerance:
            return False
    return True


def warn_of_identifiers(frame: Any, columns: list[Any], name: str) -> None:
    """Warn of a column of a frame whose name and numbers both say that it identifies the rows."""
    for label in columns:
        if isinstance(label, str) and label.lower() in _IDENTIFIERS and columns.count(label) == 1:
            values = np.asarray(frame[label])
            if values.dtype.kind in "iu" and _identify(values):
                index = (
                    f"make it the index, as {name}.set_index({label!r})"
                    if hasattr(frame, "set_index")
                    else (f"drop it, as {name}.drop({label!r})")
                )
                warn_caller(
                    f"Column {label!r} of {name} goes from {values[0]} up to {values[-1]}, as the numbers of rows do, "
                    f"but is taken for the weights of a bin. If it identifies the rows, {index}; if it is a bin, "
                    "rename it."
                )


def _identify(values: Any) -> bool:
    """Return whether integers go up, by one, or all the way through many rows."""
    steps = np.diff(values.astype(np.int64)) if len(values) >= _FEWEST else np.zeros(1)
    return bool((steps == 1).all() or (len(values) >= _FEWEST_IN_ORDER and (steps > 0).all()))
