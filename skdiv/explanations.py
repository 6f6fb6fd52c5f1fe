"""What makes a divergence: the contribution of each bin, and the bins that tell a cluster from all other rows."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from skdiv._compute.blocks.termwise import few_rows, in_precision
from skdiv._divergences.forms import identity, root
from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName, divergences, resolve
from skdiv._input.arrays import as_array
from skdiv._input.checks import MatrixLike, as_weights, check_pseudocount, check_sample_weight
from skdiv._input.distributions import Distributions, normalise
from skdiv._input.estimators import validated_input
from skdiv._input.names import (
    labels_of_distribution,
    names_of,
    refuse_other_bins,
    refuse_other_fitted_rows,
    refuse_other_rows,
)
from skdiv._utils.memory import enough_memory
from skdiv._utils.optional import optional
from skdiv._utils.typing import FloatArray, Labels
from skdiv.barycenters import centers_of
from skdiv.pairwise import as_pair

__all__ = ["describe_clusters", "divergence_contributions"]

_POWER_OF = {identity: 1, root: 2, np.sqrt: 2}  # the power of a divergence that is the sum of its terms, by its finish


def divergence_contributions(
    p: MatrixLike,
    q: MatrixLike,
    metric: MetricName | Divergence = "js_distance",
    *,
    base: float | None = None,
    pseudocount: float = 0.0,
    feature_names: Sequence[Any] | None = None,
    as_frame: bool = False,
) -> Any:
    """Compute what each bin contributes to the divergence of two distributions, or of pairs of rows.

    The contributions are never negative, and their sum is D(p ‖ q). ``"js_distance"`` and ``"hellinger"`` are roots of
    a sum over the bins, so their contributions sum to the square of the distance.

    Parameters
    ----------
    p, q : {array-like, sparse matrix, frame} of shape (n_bins,) or (n, n_bins)
        Probabilities or counts: two vectors, or two collections whose rows are matched by place. Each distribution is
        divided by its sum.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `divergences` lists, or a `Divergence`. It has to be a sum
        over the bins or the root of one.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the distributions are normalised, in the units of p and q.
    feature_names : sequence of length n_bins, optional
        Names of the bins for the frame. By default they are the labels of the columns of p, or of q, and without those
        the positions of the bins.
    as_frame : bool, default=False
        Whether to return a pandas frame.

    Returns
    -------
    ndarray of shape (n_bins,) or (n, n_bins), or pandas.DataFrame
        The contributions, in nats unless ``base`` is given; float32 if p and q are, else float64. The frame has one row
        for each bin, in columns ``feature``, ``p``, ``q`` (the shares of the bin) and ``contribution``; for two
        collections it has one row for each pair and bin, and the label of the pair in a first column ``row``.

    Raises
    ------
    ValueError
        If the divergence is no sum over the bins, as the Bhattacharyya distance and Rényi's divergence; if an entry or
        a row is not valid, as in `pairwise_divergences`; if p and q differ in shape or in the labels of their columns,
        or there is not one name for each bin.
    TypeError
        If p or q holds anything but real numbers.
    ImportError
        If a frame is asked for and pandas is not installed.
    MemoryError
        If the contributions, which are dense also for sparse rows, do not fit into the memory that is left.

    See Also
    --------
    skdiv.paired_divergences : Computes the divergences of pairs of rows.
    describe_clusters : Finds the bins that distinguish each cluster from all other rows.
    skdiv.plotting.DistributionDisplay : Draws two distributions and these contributions.

    Notes
    -----
    The terms in textbooks are not always what a bin contributes. The terms p ln(p/q) of the Kullback-Leibler divergence
    are negative where p < q, as if such a bin brought the distributions nearer to each other. So p ln(p/q) − p + q is
    taken, which is 0 where p = q and positive elsewhere. Its sum is the same, because p and q both sum to 1. A bin that
    is empty in p contributes q. The contributions to ``"js_distance"`` and ``"js_divergence"`` are
    ½ p ln(p/m) + ½ q ln(q/m) with m = (p + q)/2, those to ``"hellinger"`` are ½ (√p − √q)², and the others are the
    terms of the definitions, none of which is negative. Where q = 0 < p, a bin contributes infinity to ``"kl"``,
    ``"jeffreys"`` and ``"chi2"``.

    References
    ----------
    I. Csiszár, "Why Least Squares and Maximum Entropy? An Axiomatic Approach to Inference for Linear Inverse Problems",
    Annals of Statistics 19(4) (1991), 2032–2066, for the non-negative terms of the Kullback-Leibler divergence.

    Examples
    --------
    >>> from skdiv.explanations import divergence_contributions
    >>> divergence_contributions([8, 1, 1], [2, 1, 7], "kl").round(3)
    array([0.509, 0.   , 0.405])
    >>> names = ["sun", "clouds", "rain"]
    >>> divergence_contributions([8, 1, 1], [2, 1, 7], feature_names=names, as_frame=True).round(3)
      feature    p    q  contribution
    0     sun  0.8  0.2         0.096
    1  clouds  0.1  0.1         0.000
    2    rain  0.1  0.7         0.127
    """
    compared = compare(p, q, resolve(metric), base, pseudocount, feature_names)
    if as_frame:
        return _frame_of_pairs(compared)
    return compared.contributions[0] if compared.labels is None else compared.contributions


def describe_clusters(
    clustering: Any,
    X: MatrixLike,
    *,
    top: int | None = 10,
    metric: MetricName | Divergence = "js_distance",
    base: float | None = None,
    sample_weight: ArrayLike | None = None,
    feature_names: Sequence[Any] | None = None,
    as_frame: bool = False,
) -> Any:
    """Find the bins that distinguish each cluster: those that contribute most to its divergence from all other rows.

    The mean distribution p of the rows of a cluster is compared with the mean distribution q of the rows in all other
    clusters. The bins are then ordered by what `divergence_contributions` computes for p and q.

    Parameters
    ----------
    clustering : DivergenceClustering or MiniBatchDivergenceClustering
        A fitted estimator with at least two clusters.
    X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
        The rows that were fitted, in their order; after `partial_fit` those of the last batch, and for
        ``metric="precomputed"`` the distributions behind the distances. The estimator's pseudocount is added to them.
    top : int or None, default=10
        How many bins are returned for each cluster; None for all.
    metric : str or Divergence, default="js_distance"
        The divergence by which p and q are compared: a name or a `Divergence`, which has to be a sum over the bins or
        the root of one. It need not be the metric of the clustering.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    sample_weight : array-like of shape (n_samples,), optional
        The weights of the rows in the means; by default all are equal. With the weights of the fit, the means of the
        clusters are ``cluster_centers_``, unless another ``center`` was asked for.
    feature_names : sequence of length n_bins, optional
        Names of the bins. By default they are the names that were fitted, or else the labels of the columns of X, or
        else the positions of the bins.
    as_frame : bool, default=False
        Whether to return a pandas frame.

    Returns
    -------
    ndarray of shape (n_clusters * top,), or pandas.DataFrame
        A structured array, or a frame, with one row for each cluster and bin: the clusters in the order of their
        numbers, and in each the bins that contribute the most first. Its fields are

        - ``cluster``: the label of the cluster;
        - ``feature``: the name of the bin;
        - ``contribution``: what the bin adds to the divergence; for the distances that are roots, to its square;
        - ``share``: the contribution as a share of the sum over all bins. If the sum is infinite, the infinite
          contributions have equal shares of it;
        - ``inside``, ``outside``: the share of the bin in the mean distribution of the cluster, and in that of all
          other rows;
        - ``ratio``: ``inside`` / ``outside``; infinite if no other row has the bin, and 1 if no row at all has it;
        - ``direction``: ``"over"`` or ``"under"``, as it has more or less mass inside than outside, or ``"equal"``.

    Raises
    ------
    ValueError
        If there is one cluster alone, there are not as many rows as labels, or the columns differ from those that were
        fitted; if the divergence is no sum over the bins, or a row of X is not a distribution.
    TypeError
        If X holds anything but real numbers.
    ImportError
        If a frame is asked for and pandas is not installed.

    See Also
    --------
    divergence_contributions : Computes the contributions for any two distributions.

    Notes
    -----
    A bin that is rare everywhere contributes little, however large its ratio is. To compare one cluster with one other
    cluster, pass two rows of ``cluster_centers_`` to `divergence_contributions`.

    References
    ----------
    J. Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information Theory 37(1) (1991),
    145–151, for the Jensen-Shannon divergence, which is the sum of the contributions by default.

    Examples
    --------
    >>> from skdiv import DivergenceClustering
    >>> from skdiv.explanations import describe_clusters
    >>> X = [[8, 1, 1], [7, 2, 1], [1, 1, 8], [0, 2, 8]]
    >>> clustering = DivergenceClustering(n_clusters=2).fit(X)
    >>> described = describe_clusters(clustering, X, top=1, feature_names=["sun", "clouds", "rain"])
    >>> for row in described:
    ...     print(row["cluster"], row["direction"], row["feature"], row["inside"].round(2), row["outside"].round(2))
    0 under sun 0.05 0.75
    1 over sun 0.75 0.05
    """
    divergence = resolve(metric)
    unit = _unit_of_terms(divergence, base)
    rows, columns = _fitted_rows(clustering, X)
    labels = _labels_of(clustering, len(rows))
    features = _feature_names(feature_names, columns, rows.shape[1])
    top = rows.shape[1] if top is None else check_scalar(top, "top", Integral, min_val=1)
    refuse_other_rows(sample_weight, X, ("sample_weight", "X"))
    masses = check_sample_weight(sample_weight, len(rows))
    inside, outside = _means_and_complements(rows, masses, labels)
    contributions = _contributions(divergence, Distributions(inside), Distributions(outside), unit)
    tables = [
        _description(cluster, features, contributions[cluster], inside[cluster], outside[cluster])[: int(top)]
        for cluster in range(len(inside))
    ]
    described = np.concatenate(tables)
    if not as_frame:
        return described
    return _pandas().DataFrame({field: described[field] for field in described.dtype.names or ()})


# --- The sums of terms ---


class Compared(NamedTuple):
    """Distributions with what each bin adds to their divergences, the names of the bins, and labels of the pairs.

    The labels are None for two vectors, which are held as collections of one row.
    """

    P: Distributions
    Q: Distributions
    contributions: FloatArray
    features: NDArray[Any]
    labels: NDArray[Any] | None


def compare(
    p: MatrixLike,
    q: MatrixLike,
    divergence: Divergence,
    base: float | None,
    pseudocount: float,
    feature_names: Sequence[Any] | None,
) -> Compared:
    """Check what a user passes to `divergence_contributions`, and compute the contributions."""
    unit = _unit_of_terms(divergence, base)
    are_vectors = _are_vectors(p, q)
    p_rows, q_rows = p, q
    if are_vectors:
        refuse_other_bins(labels_of_distribution(p), labels_of_distribution(q), ("p", "q"))
        p_rows, q_rows = _as_row(p, "p"), _as_row(q, "q")
    P, Q = as_pair(p_rows, q_rows, check_pseudocount(pseudocount), ("p", "q"))
    if len(P) != len(Q):
        raise ValueError(f"p has {len(P)} rows and q has {len(Q)}: each row of p is compared with one of q.")
    columns = names_of(p_rows).columns or names_of(q_rows).columns
    features = _feature_names(feature_names, columns, P.shape[1])
    index = names_of(p).index
    labels = None if are_vectors else np.arange(len(P)) if index is None else np.asarray(index)
    return Compared(P, Q, _contributions(divergence, P, Q, unit), features, labels)


def _unit_of_terms(divergence: Divergence, base: float | None) -> float:
    """Return the number by which terms in nats are divided to be in the unit of ``base``.

    A divergence is refused unless it is the sum of its terms or the root of the sum, as its record says.
    """
    if not _is_sum(divergence):
        sums = ", ".join(repr(name) for name, record in divergences().items() if _is_sum(record))
        raise ValueError(
            f"metric {divergence.name!r} is no sum over the bins, nor the root of one, so no bin has a contribution of "
            f"its own. Use metric {sums}, or a Divergence of your own without rows, whose finish is left out or "
            "numpy.sqrt."
        )
    return float(divergence._scale(base) ** _POWER_OF[divergence.finish])


def _is_sum(divergence: Divergence) -> bool:
    """Return whether a divergence is the sum of its terms, or the root of the sum, by what its record says."""
    return divergence.rows is None and divergence.finish in _POWER_OF


def is_root(divergence: Divergence) -> bool:
    """Return whether a divergence that has contributions is the root of their sum."""
    return _POWER_OF[divergence.finish] == 2


def _contributions(divergence: Divergence, P: Distributions, Q: Distributions, unit: float) -> FloatArray:
    """Return the terms of the rows of P with those of Q, computed in double precision for some rows at a time."""
    n, n_bins = P.shape
    remedy = "Pass fewer rows at a time."
    with enough_memory(n * n_bins * P.dtype.itemsize, f"The contributions of {n_bins} bins to {n} divergences", remedy):
        out = np.empty(P.shape, dtype=P.dtype)
        for some in few_rows(n, n_bins):
            p, q = (rows[some].dense().astype(np.float64, copy=False) for rows in (P, Q))
            out[some] = in_precision(divergence._checked(divergence.term(p, q)) / unit, P.dtype)
    return out


# --- Clusters and their complements ---


def _fitted_rows(clustering: Any, X: MatrixLike) -> tuple[Distributions, list[Any]]:
    """Return the rows that a clustering was fitted to, normalised as it does, and the names of their columns."""
    check_is_fitted(clustering)
    names, predictor = names_of(X), getattr(clustering, "_predictor", None)
    if predictor is None:
        raise TypeError(
            "clustering must be a fitted DivergenceClustering or MiniBatchDivergenceClustering, but it is "
            f"{type(clustering).__name__}; divergence_contributions compares any two rows."
        )
    refuse_other_fitted_rows(X, getattr(clustering, "_row_labels", None))
    if predictor.takes_distances:
        return normalise(as_weights(X, names), pseudocount=clustering.pseudocount, names=names), names.columns
    validated = validated_input(clustering, X, reset=False)
    rows = normalise(validated, pseudocount=predictor.pseudocount, names=names)
    return rows, list(getattr(clustering, "feature_names_in_", names.columns))


def _labels_of(clustering: Any, n: int) -> Labels:
    """Return the labels of a fitted clustering; refuse other than n of them, and those of one cluster alone."""
    if not hasattr(clustering, "labels_"):
        raise ValueError(
            f"{type(clustering).__name__} has no labels_ after merge. Set them to those of the rows of X, as "
            "clustering.labels_ = clustering.predict(X)."
        )
    labels: Labels = np.asarray(clustering.labels_)
    if len(labels) != n:
        raise ValueError(f"X has {n} rows, but labels_ are those of {len(labels)}: pass the rows that were fitted.")
    if clustering.n_clusters_ < 2 or labels.min() == labels.max():
        raise ValueError(
            "There is one cluster, which has no others to be compared with; fit with n_clusters of at least 2."
        )
    return labels


def _means_and_complements(
    rows: Distributions, masses: FloatArray | None, labels: Labels
) -> tuple[FloatArray, FloatArray]:
    """Return the mean distribution of each cluster, and that of the rows in all other clusters.

    The latter is a mean of the means of the other clusters, for a difference from the mean of all would lose digits.
    """
    n_clusters = int(labels.max()) + 1
    means = centers_of(rows, masses, labels, n_clusters, "mean")
    others = np.tile(np.bincount(labels, masses, minlength=n_clusters).astype(np.float64), (n_clusters, 1))
    np.fill_diagonal(others, 0)
    complements: FloatArray = (others / others.sum(axis=1, keepdims=True)) @ means
    return means, complements.astype(means.dtype, copy=False)


def _description(
    cluster: int, features: NDArray[Any], contributions: FloatArray, inside: FloatArray, outside: FloatArray
) -> NDArray[np.void]:
    """Return the bins of a cluster, as a structured array, those with the largest contributions first."""
    order = np.lexsort((-inside, -contributions))
    p, q = inside[order].astype(np.float64), outside[order].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(p == q, 1, p / q)
    direction = np.select([p > q, p < q], ["over", "under"], "equal")
    contribution = contributions[order].astype(np.float64)
    fields = {
        "cluster": np.full(len(order), cluster),
        "feature": features[order],
        "contribution": contribution,
        "share": _shares(contribution),
        "inside": p,
        "outside": q,
        "ratio": ratio,
        "direction": direction,
    }
    table = np.empty(len(order), dtype=[(name, values.dtype) for name, values in fields.items()])
    for name, values in fields.items():
        table[name] = values
    return table


def _shares(contributions: FloatArray) -> FloatArray:
    """Return contributions as shares of their sum, which infinite ones have among themselves; 0 if all are 0."""
    infinite = np.isinf(contributions)
    parts = infinite.astype(np.float64) if infinite.any() else contributions
    total = parts.sum()
    return parts / total if total > 0 else parts


# --- Vectors, names and frames ---


def _are_vectors(p: MatrixLike, q: MatrixLike) -> bool:
    """Return whether p and q are vectors; refuse a vector beside a collection.

    A row of a sparse matrix or of a frame has two dimensions, and is a vector beside another one.
    """
    dimensions = [_dimensions(side, name) for side, name in ((p, "p"), (q, "q"))]
    if 1 in dimensions and all(dim == 1 or is_row(side) for dim, side in zip(dimensions, (p, q), strict=True)):
        return True
    if dimensions.count(1) == 1:
        one, other = ("p", "q") if dimensions[0] == 1 else ("q", "p")
        raise ValueError(
            f"{one} is one distribution and {other} is a collection. Pass two of a kind: repeat {one} as a row for "
            f"each row of {other}, as numpy.tile({one}, (len({other}), 1)) does."
        )
    return dimensions == [1, 1]


def is_row(side: Any) -> bool:
    """Return whether an argument is a sparse matrix, a frame or a table of one row."""
    return (sp.issparse(side) or names_of(side).has_columns) and side.shape[0] == 1


def _dimensions(side: MatrixLike, name: str) -> int:
    """Return the number of dimensions of p or q."""
    ndim: int = side.ndim if hasattr(side, "ndim") else np.ndim(as_array(side, name))
    return ndim


def _as_row(vector: Any, name: str) -> Any:
    """Return a vector as a collection of one row; a Series of pandas as a frame, whose columns have its labels."""
    if hasattr(vector, "to_frame") and hasattr(vector, "index"):
        return vector.to_frame().T
    if sp.issparse(vector):
        return vector.reshape((1, -1))
    return vector if names_of(vector).has_columns else as_array(vector, name)[np.newaxis]


def _feature_names(given: Sequence[Any] | None, columns: list[Any], n_bins: int) -> NDArray[Any]:
    """Return the names of the bins: those that are given, or the labels of the columns, or the positions."""
    names = columns if given is None else list(given)
    if given is not None and len(names) != n_bins:
        raise ValueError(f"feature_names has {len(names)} names for {n_bins} bins; pass one for each.")
    if not names:
        return np.arange(n_bins)
    if all(isinstance(name, str) for name in names):
        return np.array(names, dtype=str)
    array = np.empty(n_bins, dtype=object)
    array[:] = names
    return array


def _frame_of_pairs(compared: Compared) -> Any:
    """Return a frame with one row for each bin of each pair."""
    features, labels = compared.features, compared.labels
    columns = {} if labels is None else {"row": np.repeat(labels, len(features))}
    columns |= {
        "feature": np.tile(features, len(compared.P)),
        "p": compared.P.dense().ravel(),
        "q": compared.Q.dense().ravel(),
        "contribution": compared.contributions.ravel(),
    }
    return _pandas().DataFrame(columns)


def _pandas() -> Any:
    """Return pandas, or raise an error that says who needs it."""
    return optional("pandas", "as_frame=True returns a pandas frame")
