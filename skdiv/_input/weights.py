"""The masses of rows: weights that a user passes, or the numbers of observations behind the rows."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from skdiv._input.checks import Matrix, Names, as_counts, check_sample_weight, refuse_empty_rows, refuse_entries
from skdiv._utils.typing import FloatArray

WeightsLike: TypeAlias = ArrayLike | Literal["counts"] | None


def masses_of(sample_weight: WeightsLike, X: Matrix, names: Names) -> FloatArray | None:
    """Return the mass of each row of X, a float array or CSR matrix; None if no weights are given, so that all are one.

    ``"counts"`` stands for the totals of the rows, which must then be counts.
    """
    if not isinstance(sample_weight, str):
        return check_sample_weight(sample_weight, X.shape[0])
    if sample_weight != "counts":
        raise ValueError(f"sample_weight = {sample_weight!r} must be 'counts' or a vector of a weight for each row.")
    entries = X.data if sp.issparse(X) else X
    if not (entries.min(initial=0) >= 0 and np.isfinite(entries.max(initial=0))):
        refuse_entries(X, names)
    counts = as_counts(
        X,
        "sample_weight='counts' weighs each row by its number of observations, which other numbers do not tell. Pass "
        "the counts, or a vector of weights.",
        names,
    )
    totals = totals_of(counts)
    refuse_empty_rows(totals, names)
    return check_sample_weight(totals, X.shape[0])


def totals_of(X: Matrix) -> FloatArray:
    """Return the sum of each row in double precision."""
    return np.asarray(X.sum(axis=1, dtype=np.float64)).ravel()


def are_totals(masses: FloatArray, X: Matrix) -> bool:
    """Return whether the masses of rows are their totals, but for rounding."""
    return bool(np.allclose(masses, totals_of(X), rtol=1e-9, atol=0))
