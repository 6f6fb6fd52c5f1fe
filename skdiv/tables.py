"""Tables with names, as pandas frames: of divergences, of labels, and of the centers of clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName
from skdiv._input.checks import MatrixLike
from skdiv._input.names import names_of
from skdiv._utils.optional import optional
from skdiv.pairwise import pairwise_divergences

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["centers_frame", "divergence_frame", "labels_frame"]


def divergence_frame(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    metric: MetricName | Divergence = "js_distance",
    *,
    index: Sequence[Any] | None = None,
    columns: Sequence[Any] | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Compute the matrix of divergences as a pandas frame with the names of the rows.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_X, n_bins)
        Probabilities or counts; each row is divided by its sum.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), optional
        A second collection over the same bins; by default X itself.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `divergences` lists, or a `Divergence`.
    index : sequence of length n_X, optional
        Names of the rows of X. By default they are the index of X if it is a pandas frame, and else 0, 1, 2 and so on:
        polars frames have no names of rows.
    columns : sequence of length n_Y, optional
        Names of the rows of Y; by default the index of Y, and without Y the names of the rows of X.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X and Y.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`.

    Returns
    -------
    pandas.DataFrame of shape (n_X, n_Y)
        The entry in row i and column j is D(X[i] ‖ Y[j]), as in `pairwise_divergences`, in nats unless ``base`` is
        given.

    Raises
    ------
    ValueError, TypeError, MemoryError
        For the same reasons as in `pairwise_divergences`; also if there are more or fewer names than rows.
    ImportError
        If pandas is not installed.

    See Also
    --------
    skdiv.pairwise_divergences : Returns the matrix as an array.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdiv.tables import divergence_frame
    >>> weather = pd.DataFrame({"sun": [6, 5, 1], "rain": [2, 3, 7]}, index=["Rome", "Nice", "Bergen"])
    >>> divergence_frame(weather).round(2)
            Rome  Nice  Bergen
    Rome    0.00  0.10    0.46
    Nice    0.10  0.00    0.38
    Bergen  0.46  0.38    0.00
    >>> divergence_frame(weather[:2], weather[2:], metric="kl", base=2).round(2)
          Bergen
    Rome    1.49
    Nice    0.99
    """
    pd, other = _pandas(), X if Y is None else Y
    of_rows = _names(X, index, "index")
    of_columns = of_rows if Y is None and columns is None else _names(other, columns, "columns")
    D = pairwise_divergences(X, Y, metric, base=base, pseudocount=pseudocount, n_jobs=n_jobs)
    return pd.DataFrame(D, index=of_rows, columns=of_columns, copy=False)


def labels_frame(clustering: Any, X: MatrixLike, *, index: Sequence[Any] | None = None) -> pd.DataFrame:
    """Predict the cluster of each row of X, and return it in a pandas frame with the name of the row and its distance.

    The labels are those of `predict`, for fitted rows and new ones alike. To put the ``labels_`` of a fit, or those of
    a `cut`, beside the names of the fitted rows, ``X.assign(label=clustering.labels_)`` of pandas is enough.

    Parameters
    ----------
    clustering : DivergenceClustering or MiniBatchDivergenceClustering
        A fitted model.
    X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
        The rows, or distances, that the `predict` of the model takes.
    index : sequence of length n_new, optional
        Names of the rows; by default the index of X if it is a pandas frame, and else 0, 1, 2 and so on.

    Returns
    -------
    pandas.DataFrame of shape (n_new, 2)
        The columns are ``label``, by `predict`, and ``distance``, the entry of `transform` for this label. A row that
        belongs to no cluster has label -1, and its distance is NaN if it has no mass and else infinite.

    Raises
    ------
    ValueError, TypeError
        As `predict`; also if there are more or fewer names than rows.
    ImportError
        If pandas is not installed.

    See Also
    --------
    skdiv.explanations.describe_clusters : The bins that tell each cluster from all other rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdiv import DivergenceClustering
    >>> from skdiv.tables import labels_frame
    >>> weather = pd.DataFrame({"sun": [6, 5, 1, 2], "rain": [2, 3, 7, 7]}, index=["Rome", "Nice", "Bergen", "Oslo"])
    >>> clustering = DivergenceClustering(n_clusters=2, assign="center").fit(weather)
    >>> labels_frame(clustering, weather).round(2)
            label  distance
    Rome        0      0.05
    Nice        0      0.05
    Bergen      1      0.05
    Oslo        1      0.04
    """
    names = _names(X, index, "index")
    labels, distances = clustering.predict(X), np.asarray(clustering.transform(X))
    return _pandas().DataFrame({"label": labels, "distance": distances[np.arange(len(labels)), labels]}, index=names)


def centers_frame(clustering: Any) -> pd.DataFrame:
    """Return the centers of the clusters as a pandas frame with the names of the bins.

    Parameters
    ----------
    clustering : DivergenceClustering or MiniBatchDivergenceClustering
        A fitted model, of distributions: distances alone have no centers.

    Returns
    -------
    pandas.DataFrame of shape (n_clusters, n_bins)
        The ``cluster_centers_``: a row for each label, under the index ``cluster``; the columns are those of the fitted
        frame, and without names 0, 1, 2 and so on.

    Raises
    ------
    ValueError
        If the model was fitted to distances, with ``metric="precomputed"``.
    ImportError
        If pandas is not installed.

    See Also
    --------
    labels_frame : The label of each row.
    skdiv.explanations.describe_clusters : The bins that tell each cluster from all other rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from skdiv import DivergenceClustering
    >>> from skdiv.tables import centers_frame
    >>> weather = pd.DataFrame({"sun": [6, 5, 1, 2], "rain": [2, 3, 7, 7]}, index=["Rome", "Nice", "Bergen", "Oslo"])
    >>> centers_frame(DivergenceClustering(n_clusters=2).fit(weather)).round(2).T
    cluster     0     1
    sun      0.69  0.17
    rain     0.31  0.83
    """
    check_is_fitted(clustering)
    if not hasattr(clustering, "cluster_centers_"):
        raise ValueError(f"clustering = {clustering!r} was fitted to distances, which have no centers.")
    pd, centers = _pandas(), clustering.cluster_centers_
    index = pd.RangeIndex(len(centers), name="cluster")
    return pd.DataFrame(centers, index=index, columns=clustering._column_labels.columns or None, copy=True)


def _names(X: Any, given: Sequence[Any] | None, argument: str) -> Any:
    """Return the names of the rows of X: those that are given, or the index of a pandas frame, or None."""
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    if given is None:
        return names_of(X).index
    if len(given) != n:
        raise ValueError(f"{argument} holds {len(given)} names for {n} rows; pass one for each row.")
    return given


def _pandas() -> Any:
    """Return pandas, or raise an error that says who needs it."""
    return optional("pandas", "skdiv.tables makes pandas frames")
