"""Check what is passed to the methods of an estimator, and set what was fitted once all of it has succeeded."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import validate_data

from skdiv._input.arrays import is_sparse_dtype
from skdiv._input.checks import (
    Matrix,
    MatrixLike,
    as_weights,
    check_distances,
    in_precision_of_fit,
)
from skdiv._input.mistakes import warn_of_distances
from skdiv._input.names import ColumnLabels, Names, names_of, refuse_other_columns, refuse_other_order


def validated_input(
    estimator: Any, X: MatrixLike, *, reset: bool, distances: bool = False, min_samples: int = 1
) -> Matrix:
    """Return X as a float array or CSR matrix; its entries are checked when they are normalised.

    ``distances`` says that X is a matrix of distances: it must be dense, and is checked whole.

    With ``reset`` the estimator is given what is to be known of X: ``n_features_in_``, ``feature_names_in_``, the
    labels of the columns and the dtype. Without, X is compared with them, and converted to the dtype of the fit.
    """
    names = names_of(X)
    if distances:
        _refuse_sparse(X, names)
        if reset:
            refuse_other_order(names)
    validated = as_weights(
        X,
        names,
        also="O",
        owner=type(estimator).__name__,
        min_samples=min_samples,
        min_bins=2 if reset and not distances else 1,
        distances=distances,
    )
    if distances:
        check_distances(validated, names)
    if distances and not reset:
        _refuse_other_fitted_rows(validated, estimator)
    if not reset:
        validated = in_precision_of_fit(validated, estimator._dtype, names)
    if reset:
        if not distances:
            warn_of_distances(validated)
        estimator._column_labels, estimator._dtype = names.labels, np.dtype(validated.dtype)
    elif names.frame is None:  # The words of scikit-learn are for frames.
        _refuse_other_fitted_bins(names.labels, estimator, distances=distances)
    shown = names.as_frame(X)
    if shown is X and not names.has_columns:
        shown = validated
    validate_data(estimator, shown, reset=reset, skip_check_array=True)  # This compares the columns.
    if not reset and names.frame is not None:  # scikit-learn compares names only if they are strings.
        _refuse_other_fitted_bins(names.labels, estimator, distances=distances)
    return validated


def _refuse_sparse(D: MatrixLike, names: Names) -> None:
    """Refuse distances in a sparse matrix or a frame with sparse columns: what is not stored may be unknown."""
    if sp.issparse(D) or (names.frame is not None and any(map(is_sparse_dtype, names.frame.dtypes))):
        raise TypeError(
            "Sparse data was passed for X, but metric='precomputed' needs the distance of each pair: dense data is "
            "required. DivergenceClustering takes a graph as connectivity=; where an entry that is not stored is a "
            "distance of 0, pass X.toarray(), of a frame X.sparse.to_dense()."
        )


def _refuse_other_fitted_bins(labels: ColumnLabels, estimator: Any, *, distances: bool) -> None:
    """Refuse new rows whose bins have other labels than the fitted ones, or the same labels in another order."""
    in_order, missing = ", as they were fitted", ""
    if hasattr(estimator, "feature_names_in_") and labels.columns:
        names, frame = "estimator.feature_names_in_", labels.holder.frame.format("X")
        in_order += f": pass {labels.holder.ordered.format('X', f'list({names})')}"
        if frame and not distances:
            missing = (
                f". {frame}.reindex(columns={names}).fillna(0) adds the bins that are missing, and leaves out those "
                "that were not fitted"
            )
    refuse_other_columns(labels, estimator._column_labels, ("X", "the fitted X"), in_order, missing)


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
