"""Check what is passed to the methods of an estimator, and set what was fitted once all of it has succeeded."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from skdiv._input.checks import (
    DTYPES,
    Matrix,
    MatrixLike,
    as_array,
    check_distances,
    in_precision_of_fit,
    names_of,
    refuse_other_columns,
    refuse_what_is_not_real,
)


def validated_input(
    estimator: Any, X: MatrixLike, *, reset: bool, distances: bool = False, min_samples: int = 1
) -> Matrix:
    """Return X as a float array or CSR matrix; its entries are checked when they are normalised.

    ``distances`` says that X is a matrix of distances: it must be dense, and is checked whole.

    With ``reset`` the estimator is given what is to be known of X: ``n_features_in_``, ``feature_names_in_``, the
    labels of the columns and the dtype. Without, X is compared with them, and converted to the dtype of the fit.
    """
    names = names_of(X)
    refuse_what_is_not_real(X, names, also="cO")  # scikit-learn refuses complex numbers, and asks for objects
    validated = as_array(
        X,
        accept_sparse=False if distances else "csr",
        dtype=DTYPES,
        ensure_all_finite=False,
        ensure_min_samples=min_samples,
        estimator=estimator,
        input_name="X",
    )
    if distances:
        check_distances(validated, names)
    if distances and not reset:
        _refuse_other_fitted_rows(validated, estimator)
    if not reset:
        validated = in_precision_of_fit(validated, estimator._dtype, names)
    validate_data(estimator, X, reset=reset, skip_check_array=True)  # This compares the columns.
    if reset:
        estimator._column_labels, estimator._dtype = names.labels, np.dtype(validated.dtype)
    else:  # scikit-learn compares names only if they are strings.
        refuse_other_columns(names.labels, estimator._column_labels, ("X", "the fitted X"), ", as they were fitted")
    return validated


def _refuse_other_fitted_rows(D: Matrix, estimator: Any) -> None:
    """Refuse distances that are not to the fitted rows, in scikit-learn's words and with what the columns are."""
    n_given, n_fitted = D.shape[1], estimator.n_features_in_
    if n_given != n_fitted:
        raise ValueError(
            f"X has {n_given} features, but {type(estimator).__name__} is expecting {n_fitted} features as input: with "
            f"metric='precomputed' pass the distances of each new row to the {n_fitted} fitted rows, not the new rows."
        )


def learned_input(
    estimator: Any, X: MatrixLike, *, distances: bool = False, min_samples: int = 1
) -> tuple[Matrix, dict[str, Any]]:
    """Return what `validated_input` does, and the attributes that a fit gets from X, without setting them.

    They are set on a copy with the same parameters, for scikit-learn sets them at once.
    """
    parameters = estimator.get_params(deep=False)
    blank = type(estimator)(**parameters)
    validated = validated_input(blank, X, reset=True, distances=distances, min_samples=min_samples)
    return validated, {name: value for name, value in vars(blank).items() if name not in parameters}


def store_fitted(estimator: Any, names: Set[str], *fitted: dict[str, Any]) -> None:
    """Set the attributes of a fit that has succeeded, after those of an earlier fit, called ``names``, are removed."""
    for earlier in names & vars(estimator).keys():
        delattr(estimator, earlier)
    for attributes in fitted:
        vars(estimator).update(attributes)
