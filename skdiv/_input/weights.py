"""The masses of rows: weights that a user passes, or the numbers of observations behind the rows."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from skdiv._input.checks import Matrix, as_counts, check_sample_weight, refuse_empty_rows, refuse_what_is_no_weight
from skdiv._input.names import Names, refuse_other_rows
from skdiv._utils.typing import FloatArray

WeightsLike: TypeAlias = ArrayLike | Literal["counts"] | None


def masses_of(sample_weight: WeightsLike, X: Matrix, names: Names) -> FloatArray | None:
    """Return the mass of each row of X, a float array or CSR matrix; None if no weights are given, so that all are one.

    ``"counts"`` stands for the totals of the rows, which must then be counts.
    """
    if not isinstance(sample_weight, str):
        refuse_other_rows(sample_weight, names.frame, ("sample_weight", names.argument))
        return check_sample_weight(sample_weight, X.shape[0])
    if sample_weight != "counts":
        raise ValueError(f"sample_weight = {sample_weight!r} must be 'counts' or a vector of a weight for each row.")
    refuse_what_is_no_weight(X, names)
    counts = as_counts(
        X,
        "sample_weight='counts' weighs each row by its number of observations, which other numbers do not tell. Pass "
        "the counts, or a vector of weights.",
        names,
    )
    totals = totals_of(counts)
    refuse_empty_rows(totals, names, "It has no weight by its counts: drop it.")
    return check_sample_weight(totals, X.shape[0])


def totals_of(X: Matrix) -> FloatArray:
    """Return the sum of each row in double precision."""
    return np.asarray(X.sum(axis=1, dtype=np.float64)).ravel()


def are_totals(masses: FloatArray, X: Matrix) -> bool:
    """Return whether the masses of rows are in proportion to their totals, but for rounding."""
    totals = totals_of(X)
    with np.errstate(invalid="ignore"):  # Totals may be infinite, and are nobody's masses then.
        return bool(np.allclose(masses / masses.max(), totals / totals.max(), rtol=1e-9, atol=0))
