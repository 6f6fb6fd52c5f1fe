"""How well clusters are told apart, from the distances between rows, or to centers, alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdiv._compute.measure import Measure
from skdiv._input.distributions import normalise
from skdiv._input.names import Names, refuse_other_order
from skdiv._trees.build import refuse_infinite
from skdiv._trees.linkage import check_square
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray, Labels
from skdiv.cluster._prediction import Predictor


def silhouette(D: FloatArray, labels: Labels) -> float:
    """Return the mean silhouette of rows, from the square matrix of their distances; 0 if there are no two clusters.

    A row that is alone in its cluster has a silhouette of 0, and so has every row if each is.
    """
    from sklearn.metrics import silhouette_score  # It takes a while to import.

    if not 1 < len(np.unique(labels)) < len(labels):
        return 0.0
    return float(silhouette_score(D, labels, metric="precomputed"))


def simplified_silhouette(predictor: Predictor, X: Any, names: Names, n_jobs: int | None) -> float:
    """Return the mean of 1 - a / b over rows, with a and b their distances to the nearest two clusters.

    It is 0 if there is one cluster alone, and for rows that belong to none, which the predictor may refuse.
    """
    total = 0.0
    for batch, distances in predictor.to_clusters(X, names, n_jobs):
        predictor.labels(distances, batch.start, names)
        if distances.shape[1] == 1:
            continue
        a, b = np.partition(distances, 1, axis=1)[:, :2].astype(np.float64).T
        differ = a < b  # which is false for rows that belong to no cluster, whose distances are infinite or NaN
        total += float(np.sum(1 - a[differ] / b[differ]))
    return total / int(X.shape[0])


def distances_between(predictor: Any, measure: Measure, X: Any, names: Names, n_jobs: int | None) -> FloatArray:
    """Return the matrix of the distances between new rows, normalised as those of the fit; none may be infinite."""
    rows = normalise(X, pseudocount=predictor.pseudocount, names=names)
    n = len(rows)
    remedy = "Score a sample of the rows."
    with enough_memory(n * n * rows.dtype.itemsize, f"score of {n} rows, by all distances between them,", remedy):
        D = measure.matrix(rows, n_jobs=n_jobs)
    refuse_infinite(D.ravel(), lambda place: divmod(place, n), measure, names)
    return D


def square_of_fitted(D: FloatArray, names: Names) -> FloatArray:
    """Return a user's distances from new rows to the fitted ones, if they are those between the fitted rows."""
    if D.shape[0] != D.shape[1]:
        raise ValueError(
            f"With metric='precomputed' score takes the square matrix of distances that was fitted; got X of shape "
            f"{D.shape}, which does not tell how far its rows are from each other. In a grid search pass "
            "cv=[(rows, rows)] with rows = np.arange(n), or a scorer that compares labels."
        )
    refuse_other_order(names)
    check_square(D)
    return D
