"""The distribution that is nearest to all of a collection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from skdiv._compute.blocks.termwise import few_rows
from skdiv._input.checks import MatrixLike, check_pseudocount, check_sample_weight
from skdiv._input.distributions import Distributions, as_distributions
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray
from skdiv._utils.warnings import warn_caller

Centroid = Literal["mean", "geometric", "js"]
CENTROIDS: tuple[Centroid, ...] = get_args(Centroid)
Minimised = Literal["mean", "geometric", "js", "kl", "js_divergence", "js_distance", "jensenshannon"]
_KIND_OF: dict[Minimised, Centroid] = {
    **{kind: kind for kind in CENTROIDS},
    "kl": "mean",
    "js_divergence": "js",
    "js_distance": "js",
    "jensenshannon": "js",
}
_CONVERGED = 1e-13  # total variation between two steps
_MOST_STEPS = 10_000


def barycenter(
    X: MatrixLike,
    metric: Minimised = "mean",
    *,
    sample_weight: ArrayLike | None = None,
    pseudocount: float = 0.0,
) -> FloatArray:
    """The distribution c with the lowest weighted sum of divergences from the rows of X.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n, n_bins)
        Probabilities or counts; each row is divided by its sum.
    metric : {"mean", "geometric", "js", "kl", "js_divergence", "js_distance", "jensenshannon"}, default="mean"
        What is minimised: for ``"mean"``, or ``"kl"``, the sum of KL(X[i] ‖ c), as any Bregman divergence does; for
        ``"geometric"`` that of KL(c ‖ X[i]), by the normalised geometric mean; for ``"js"``, or ``"js_divergence"``
        and ``"js_distance"``, that of JS(X[i], c), which is the square of the distance.
    sample_weight : array-like of shape (n,), optional
        A positive weight for each row; by default all are equal.
    pseudocount : float, default=0.0
        Added to every entry before the rows are normalised, in the units of X.

    Returns
    -------
    ndarray of shape (n_bins,)
        A distribution; float32 if X is, else float64.

    Raises
    ------
    ValueError
        If a row is not a distribution, a weight is not positive, the metric is not known, or for ``"geometric"`` no bin
        has mass in every row.
    TypeError
        If X or ``sample_weight`` is masked or holds anything but real numbers.

    Warns
    -----
    ConvergenceWarning
        If the steps towards the centroid of ``"js"`` still move after ten thousand of them.

    See Also
    --------
    DivergenceClustering : Its ``centroid`` makes the centres of clusters so.

    References
    ----------
    A. Banerjee et al., "Clustering with Bregman Divergences", JMLR 6 (2005), for the mean.
    R. Veldhuis, "The Centroid of the Symmetrical Kullback-Leibler Distance", IEEE Signal Processing Letters 9 (2002),
    for the geometric mean.
    F. Nielsen, "On a Generalization of the Jensen-Shannon Divergence and the Jensen-Shannon Centroid", Entropy 22
    (2020), for the steps towards that of Jensen-Shannon.

    Examples
    --------
    >>> from skdiv import barycenter
    >>> X = [[0.9, 0.1], [0.2, 0.8]]
    >>> barycenter(X)
    array([0.55, 0.45])
    >>> barycenter(X, "geometric").round(3), barycenter(X, "js").round(3)
    (array([0.6, 0.4]), array([0.567, 0.433]))
    >>> barycenter(X, sample_weight=[3, 1])
    array([0.725, 0.275])
    """
    kind = _KIND_OF.get(metric) if isinstance(metric, str) else None
    if kind is None:
        raise ValueError(f"metric = {metric!r} must be one of {tuple(_KIND_OF)}.")
    rows = as_distributions(X, pseudocount=check_pseudocount(pseudocount))
    masses = check_sample_weight(sample_weight, len(rows))
    masses = np.ones(len(rows)) if masses is None else masses
    centre: FloatArray = _CENTRE_OF[kind](rows, masses / masses.sum()).astype(rows.dtype, copy=False)
    return centre


def memory_for_centers(n_clusters: int, n_bins: int, dtype: np.dtype[Any]) -> AbstractContextManager[None]:
    """Refuse centers that do not fit into memory, for they are dense however sparse the rows are."""
    return enough_memory(
        n_clusters * n_bins * dtype.itemsize,
        f"cluster_centers_ of {n_clusters} clusters in {n_bins} bins",
        "Ask for fewer clusters, pass float32, or leave out bins in which hardly any row has mass.",
    )


def centres(
    rows: Distributions, masses: FloatArray | None, labels: NDArray[np.intp], n_clusters: int, kind: Centroid
) -> FloatArray:
    """The centre of each cluster."""
    with memory_for_centers(n_clusters, rows.shape[1], rows.dtype):
        out = np.empty((n_clusters, rows.shape[1]), dtype=rows.dtype)
        for label in range(n_clusters):
            members = np.flatnonzero(labels == label)
            of_members = np.ones(len(members)) if masses is None else masses[members]
            try:
                out[label] = _CENTRE_OF[kind](rows[members], of_members / of_members.sum())
            except ValueError as error:
                raise ValueError(f"Cluster {label}: {error}") from error
    return out


def _mean(rows: Distributions, shares: FloatArray) -> FloatArray:
    total = _bin_sums(rows, shares, lambda p, _: p, np.zeros(rows.shape[1]))
    mean: FloatArray = total / total.sum()
    return mean


def _geometric(rows: Distributions, shares: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        logs = _bin_sums(rows, shares, lambda p, _: np.log(p), np.zeros(rows.shape[1]))
    if rows.is_sparse:
        logs[np.bincount(rows.values.indices, minlength=rows.shape[1]) < len(rows)] = -np.inf
    if np.isneginf(logs).all():
        raise ValueError(
            "no bin has mass in every row, so a geometric mean is zero everywhere. Pass a pseudocount, or choose "
            "'mean' or 'js'."
        )
    powers = np.exp(logs - logs.max())
    centre: FloatArray = powers / powers.sum()
    return centre


def _jensen_shannon(rows: Distributions, shares: FloatArray) -> FloatArray:
    """Nielsen's concave-convex procedure: ln c becomes, up to a constant, the mean of ln(p + c) over the rows."""
    centre = _mean(rows, shares)
    for _ in range(_MOST_STEPS):
        new = centre * np.exp(_bin_sums(rows, shares, _log_gain, centre))
        new /= new.sum()
        moved = np.abs(new - centre).sum() / 2
        centre = new
        if moved < _CONVERGED:
            return centre
    warn_caller(
        f"The centroid of Jensen-Shannon still moves by {moved:.1g} (total variation) after {_MOST_STEPS} steps.",
        ConvergenceWarning,
    )
    return centre


def _log_gain(p: FloatArray, centre: FloatArray) -> FloatArray:
    """ln(p + c) − ln c; nothing where no row has mass."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(centre > 0, np.log1p(p / centre), 0)


def _bin_sums(
    rows: Distributions,
    shares: FloatArray,
    function: Callable[[FloatArray, FloatArray], FloatArray],
    centre: FloatArray,
) -> FloatArray:
    """Return for each bin the weighted sum over rows of ``function(p, centre)``, of sparse rows from their entries."""
    values = rows.values
    if not sp.issparse(values):
        with one_blas_thread():
            return np.asarray(shares @ function(values.astype(np.float64), centre))
    lengths = np.diff(values.indptr)
    terms = function(values.data.astype(np.float64), centre[values.indices])
    sums = np.zeros(rows.shape[1])
    if rows.background is not None:  # each bin gets what it would have if it were empty, and entries the difference
        empty = rows.background.astype(np.float64)
        terms -= function(np.repeat(empty[:, 0], lengths), centre[values.indices])
        for some in few_rows(len(rows), rows.shape[1]):
            sums += shares[some] @ function(empty[some], centre)
    return sums + np.bincount(values.indices, np.repeat(shares, lengths) * terms, minlength=rows.shape[1])


_CENTRE_OF: dict[Centroid, Callable[[Distributions, FloatArray], FloatArray]] = {
    "mean": _mean,
    "geometric": _geometric,
    "js": _jensen_shannon,
}
