"""Barycenters: the distribution with the lowest sum of divergences from a collection, or from each cluster of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from skdiv._compute.blocks.termwise import few_rows
from skdiv._input.checks import MatrixLike, as_weights, check_pseudocount
from skdiv._input.distributions import Distributions, normalise, of_used_bins
from skdiv._input.names import names_of
from skdiv._input.weights import WeightsLike, masses_of
from skdiv._utils.blas import one_blas_thread
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray
from skdiv._utils.warnings import warn_caller

Center = Literal["mean", "geometric", "js"]
CENTERS: tuple[Center, ...] = get_args(Center)
Minimised = Literal["mean", "geometric", "js", "kl", "js_divergence", "js_distance", "jensenshannon"]
_KIND_OF: dict[Minimised, Center] = {
    **{kind: kind for kind in CENTERS},
    "kl": "mean",
    "js_divergence": "js",
    "js_distance": "js",
    "jensenshannon": "js",
}
_CONVERGED = 1e-13  # the total variation between two steps at which an iteration ends
_NEARLY_CONVERGED = 1e-11  # the same after many steps, when little mass is left in bins that few rows have
_MANY_STEPS, _MOST_STEPS = 1000, 10_000
_CROWDED = 4  # dense rows with fewer entries than one in so many are summed as sparse ones


def barycenter(
    X: MatrixLike,
    metric: Minimised = "mean",
    *,
    sample_weight: WeightsLike = None,
    pseudocount: float = 0.0,
) -> FloatArray:
    """Compute the barycenter of the rows of X: the distribution with the lowest weighted sum of divergences from them.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n, n_bins)
        Probabilities or counts; each row is divided by its sum.
    metric : {"mean", "geometric", "js", "kl", "js_divergence", "js_distance", "jensenshannon"}, default="mean"
        Which divergences from the barycenter c are summed.

        - ``"mean"`` or ``"kl"``: KL(X[i] ‖ c). The result, the arithmetic mean of the rows, has the lowest sum of every
          other Bregman divergence too.
        - ``"geometric"``: KL(c ‖ X[i]). The result is the normalised geometric mean of the rows.
        - ``"js"``, ``"js_divergence"``, ``"js_distance"`` or ``"jensenshannon"``: the Jensen-Shannon divergence of X[i]
          and c, which is the square of the distance.
    sample_weight : "counts" or array-like of shape (n,), optional
        A positive weight for each row; by default all are equal. ``"counts"`` takes the totals of rows of counts. The
        index of a Series has to be that of X, if X is a frame of pandas.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.

    Returns
    -------
    ndarray of shape (n_bins,)
        The barycenter, which sums to 1; float32 if X is, else float64.

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
        If the iteration for ``"js"`` has not converged after ten thousand steps.

    See Also
    --------
    DivergenceClustering : Its parameter ``center`` says by which of these the centers of clusters are computed.

    References
    ----------
    A. Banerjee, S. Merugu, I. S. Dhillon and J. Ghosh, "Clustering with Bregman Divergences", Journal of Machine
    Learning Research 6 (2005), 1705–1749, for the mean.
    F. Nielsen and R. Nock, "Sided and Symmetrized Bregman Centroids", IEEE Transactions on Information Theory 55
    (2009), 2882–2904, for the geometric mean.
    F. Nielsen, "On a Generalization of the Jensen-Shannon Divergence and the Jensen-Shannon Centroid", Entropy 22(2)
    (2020), 221, for the iteration that minimises Jensen-Shannon divergences.

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
    names = names_of(X)
    weights = as_weights(X, names)
    rows = normalise(weights, pseudocount=check_pseudocount(pseudocount), names=names)
    masses = masses_of(sample_weight, weights, names)
    masses = np.ones(len(rows)) if masses is None else masses
    center: FloatArray = _CENTER_OF[kind](rows, masses / masses.sum()).astype(rows.dtype, copy=False)
    return center


def memory_for_centers(n_clusters: int, n_bins: int, dtype: np.dtype[Any]) -> AbstractContextManager[None]:
    """Refuse centers that do not fit into memory, for they are dense however sparse the rows are."""
    return enough_memory(
        n_clusters * n_bins * dtype.itemsize,
        f"cluster_centers_ of {n_clusters} clusters in {n_bins} bins",
        "Ask for fewer clusters, pass float32, or leave out bins in which hardly any row has mass.",
    )


def centers_of(
    rows: Distributions, masses: FloatArray | None, labels: NDArray[np.intp], n_clusters: int, kind: Center
) -> FloatArray:
    """Return the center of each cluster, as the rows of an array.

    ``labels`` are the clusters of the rows, ``masses`` their weights, or None for equal ones. ``kind`` says what is
    taken as a center, as the ``metric`` of `barycenter`.
    """
    with memory_for_centers(n_clusters, rows.shape[1], rows.dtype):
        out = np.empty((n_clusters, rows.shape[1]), dtype=rows.dtype)
        for label in range(n_clusters):
            members = np.flatnonzero(labels == label)
            of_members = np.ones(len(members)) if masses is None else masses[members]
            try:
                out[label] = _CENTER_OF[kind](rows[members], of_members / of_members.sum())
            except ValueError as error:
                raise ValueError(f"Cluster {label}: {error}") from error
    return out


def _mean(rows: Distributions, shares: FloatArray) -> FloatArray:
    """Return the mean of the rows, weighted by shares that sum to one."""
    total = _bin_sums(rows, shares, lambda p, _: p, np.zeros(rows.shape[1]))
    mean: FloatArray = total / total.sum()
    return mean


def _geometric(rows: Distributions, shares: FloatArray) -> FloatArray:
    """Return the geometric mean of the rows, weighted by shares and divided by its sum; it is 0 where any row is 0."""
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
    center: FloatArray = powers / powers.sum()
    return center


def _jensen_shannon(rows: Distributions, shares: FloatArray) -> FloatArray:
    """Return the distribution c that minimises the weighted sum of Jensen-Shannon divergences from the rows.

    The minimum is found by Nielsen's concave-convex procedure: in each step ln c is replaced by the weighted mean of
    ln(p + c) over the rows p, up to a constant that makes c sum to one. So c is multiplied by the exponential of the
    mean of ln(p + c) − ln c.
    """
    n_bins = rows.shape[1]
    if not sp.issparse(rows.values) and _CROWDED * np.count_nonzero(rows.values) < rows.values.size:
        rows = Distributions(sp.csr_array(rows.values))
    rows, used = of_used_bins(rows)
    center = _nearest_by_js(rows, shares)
    if used is None:
        return center
    everywhere = np.zeros(n_bins)
    everywhere[used] = center
    return everywhere


def _nearest_by_js(rows: Distributions, shares: FloatArray) -> FloatArray:
    """Return the result of the iteration of `_jensen_shannon` for rows as they are stored."""
    center = _mean(rows, shares)
    for step in range(_MOST_STEPS):
        new = center * np.exp(_bin_sums(rows, shares, _log_gain, center))
        new /= new.sum()
        moved = np.abs(new - center).sum() / 2
        center = new
        if moved < (_CONVERGED if step < _MANY_STEPS else _NEARLY_CONVERGED):
            return center
    warn_caller(
        f"The barycenter for Jensen-Shannon still moves by {moved:.1g} (total variation) after {_MOST_STEPS} steps.",
        ConvergenceWarning,
    )
    return center


def _log_gain(p: FloatArray, center: FloatArray) -> FloatArray:
    """Return ln(p + c) − ln c for a center c, and 0 where c is 0, which is so where no row has mass."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(center > 0, np.log1p(p / center), 0)


def _bin_sums(
    rows: Distributions,
    shares: FloatArray,
    function: Callable[[FloatArray, FloatArray], FloatArray],
    center: FloatArray,
) -> FloatArray:
    """Return for each bin the weighted sum over rows of ``function(p, center)``, of sparse rows from their entries."""
    values = rows.values
    if not sp.issparse(values):
        with one_blas_thread():
            return np.asarray(shares @ function(values.astype(np.float64), center))
    lengths = np.diff(values.indptr)
    terms = function(values.data.astype(np.float64), center[values.indices])
    sums = np.zeros(rows.shape[1])
    if rows.background is not None:  # A bin gets the sum without stored entries, and each of them adds the difference.
        empty = rows.background.astype(np.float64)
        terms -= function(np.repeat(empty[:, 0], lengths), center[values.indices])
        for some in few_rows(len(rows), rows.shape[1]):
            sums += shares[some] @ function(empty[some], center)
    return sums + np.bincount(values.indices, np.repeat(shares, lengths) * terms, minlength=rows.shape[1])


_CENTER_OF: dict[Center, Callable[[Distributions, FloatArray], FloatArray]] = {
    "mean": _mean,
    "geometric": _geometric,
    "js": _jensen_shannon,
}
