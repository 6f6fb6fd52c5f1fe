"""Entropies of distributions, their cross-entropies, and the information of a whole collection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import entr, xlog1py

from skdiv._compute.blocks.termwise import few_rows
from skdiv._compute.blocks.weighted import rounding_of_mean
from skdiv._compute.measure import Measure
from skdiv._divergences.registry import resolve
from skdiv._input.checks import MatrixLike, as_weights, check_pseudocount
from skdiv._input.distributions import Distributions, as_distributions, normalise
from skdiv._input.names import names_of
from skdiv._input.weights import WeightsLike, masses_of
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray
from skdiv.barycenters import centers_of
from skdiv.pairwise import as_collections


def entropy(X: MatrixLike, *, base: float | None = None, pseudocount: float = 0.0) -> FloatArray:
    """Compute the entropy of each row of X.

    The entropy is the information that one gains, on average, from learning which bin an observation falls into. It is
    0 if that is always the same bin, and ln(n_bins) if all bins are equally likely.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n, n_bins)
        Probabilities or counts; each row is divided by its sum.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.

    Returns
    -------
    ndarray of shape (n,)
        The entropies, in nats unless ``base`` is given; float32 if X is, else float64.

    Raises
    ------
    ValueError
        If a row is not a distribution, as in `pairwise_divergences`, or an argument is not valid.
    TypeError
        If X is masked or holds anything but real numbers.

    See Also
    --------
    cross_entropy : Computes the cost of taking another distribution for the true one.
    scipy.stats.entropy : Computes entropies along any axis, which by default are those of the columns.

    Notes
    -----
    The entropy of p is −sum p ln p. If one bin has nearly all of the probability, its term is computed from the sum of
    the other bins, so that a small entropy is as accurate as a large one. The entropy of a row of few counts is too low
    on average, by about (n_bins − 1) / (2 n) for n observations (Miller 1955).

    References
    ----------
    C. E. Shannon, "A Mathematical Theory of Communication", Bell System Technical Journal 27 (1948), 379–423 and
    623–656.
    G. A. Miller, "Note on the Bias of Information Estimates", in H. Quastler (editor), "Information Theory in
    Psychology", Free Press (1955), 95–100.

    Examples
    --------
    >>> from skdiv import entropy
    >>> entropy([[1, 1, 1, 1], [2, 1, 1, 0], [5, 0, 0, 0]], base=2)
    array([2. , 1.5, 0. ])
    """
    scale = resolve("kl")._scale(base)
    rows = as_distributions(X, pseudocount=check_pseudocount(pseudocount))
    return (_entropies(rows) / scale).astype(rows.dtype, copy=False)


def cross_entropy(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    *,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> FloatArray:
    """Compute the matrix of cross-entropies of the rows of X relative to those of Y, or to those of X.

    Entry [i, j] is H(X[i], Y[j]), the mean of −ln Y[j] over observations from X[i]: the average length of their code if
    it is made for Y[j]. It is the entropy of X[i] plus the Kullback-Leibler divergence KL(X[i] ‖ Y[j]).

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_X, n_bins)
        Probabilities or counts; each row is divided by its sum.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), optional
        A second collection over the same bins; by default X itself.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry of X and Y before the rows are normalised, in their units.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.

    Returns
    -------
    ndarray of shape (n_X, n_Y)
        The cross-entropies, in nats unless ``base`` is given; float32 if X and Y are, else float64. An entry is ``inf``
        where Y[j] is 0 in a bin in which X[i] is not. Without Y the diagonal holds the entropies.

    Raises
    ------
    ValueError
        If a row is not a distribution or X and Y have different bins, as in `pairwise_divergences`, or an argument is
        not valid.
    TypeError
        If X or Y is masked or holds anything but real numbers.
    MemoryError
        If the matrix does not fit into the memory that is left.

    See Also
    --------
    pairwise_divergences : With ``metric="kl"`` it computes the same less the entropy of X[i], which is free of Y[j].
    entropy : Computes the entropies of the rows.
    sklearn.metrics.log_loss : Computes the mean cross-entropy of true classes relative to predicted probabilities.

    References
    ----------
    T. M. Cover and J. A. Thomas, "Elements of Information Theory", 2nd edition, Wiley (2006), section 5.4.

    Examples
    --------
    >>> from skdiv import cross_entropy
    >>> cross_entropy([[1, 1], [1, 0]], [[1, 1], [3, 1], [1, 0]], base=2).round(3)
    array([[1.   , 1.208,   inf],
           [1.   , 0.415, 0.   ]])
    """
    kl = resolve("kl")
    measure = Measure(kl, kl._scale(base))
    P, Q = as_collections(X, Y, check_pseudocount(pseudocount))
    shape = len(P), len(P if Q is None else Q)
    what, remedy = f"The matrix of {shape[0]} × {shape[1]} cross-entropies", "Pass some rows of X at a time, and Y."
    with enough_memory(shape[0] * shape[1] * P.dtype.itemsize, what, remedy):
        values = measure.matrix(P, Q, n_jobs=n_jobs)
    values += measure.scaled(_entropies(P)).astype(P.dtype)[:, np.newaxis]
    return values


def mutual_information(
    X: MatrixLike,
    *,
    sample_weight: WeightsLike = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> float:
    """Compute the mutual information between rows and bins, which says how much the rows of X differ altogether.

    It is the information that the bin of an observation holds about the row from which it comes. It is also the
    Jensen-Shannon divergence of all rows: the weighted mean of the Kullback-Leibler divergences of the rows from their
    mean. It is 0 if all rows are equal, and the entropy of the weights if no two rows share a bin.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n, n_bins)
        Probabilities or counts; each row is divided by its sum.
    sample_weight : "counts" or array-like of shape (n,), optional
        A positive weight for each row; by default all are equal. ``"counts"`` takes the totals of rows of counts. The
        index of a Series has to be that of X, if X is a frame of pandas.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.

    Returns
    -------
    float
        The mutual information, in nats unless ``base`` is given. It is at most ln n.

    Raises
    ------
    ValueError
        If a row is not a distribution, as in `pairwise_divergences`; if a weight is not positive, or an argument is not
        valid.
    TypeError
        If X or ``sample_weight`` is masked or holds anything but real numbers.

    See Also
    --------
    pairwise_divergences : With ``"js_divergence"`` it computes this for each pair of rows, with equal weights.
    DivergenceClustering : With ``linkage="information"`` each merge is the one that loses the least of it.
    sklearn.metrics.mutual_info_score : Computes the same from two labels of each observation.

    Notes
    -----
    Let a row be drawn at random with the probability w, which is its share of all weights, and then a bin from the
    distribution p of that row. With m = sum w p, the mutual information of row and bin is

        I = sum w KL(p ‖ m) = H(m) − sum w H(p).

    It is computed by the first sum, which loses no digits where the rows nearly agree. The relative error is that of
    `pairwise_divergences`; values below about 1e-32 (n + 6)² are returned as 0.

    If the rows are counts and the weights are their totals, I is the mutual information of the table of counts, and
    2 N I is the statistic of the G-test, where N is the number of all observations. With few counts it is too high on
    average: by about (n − 1) (n_bins − 1) / (2 N) if all rows come from one distribution.

    References
    ----------
    J. Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on Information Theory 37(1) (1991),
    145–151.

    Examples
    --------
    >>> from skdiv import mutual_information
    >>> mutual_information([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], base=2)
    1.5
    >>> counts = [[30, 10], [10, 30]]
    >>> round(mutual_information(counts, sample_weight="counts"), 4)
    0.1308
    """
    kl = resolve("kl")
    scale, names = kl._scale(base), names_of(X)
    # Double precision is for the result: it is one number, which may be small.
    weights = as_weights(X, names).astype(np.float64, copy=False)
    rows = normalise(weights, pseudocount=check_pseudocount(pseudocount), names=names)
    masses = masses_of(sample_weight, weights, names)
    masses = np.ones(len(rows)) if masses is None else masses
    divergences = Measure(kl).matrix(rows, _mean(rows, masses), n_jobs=n_jobs)[:, 0]
    information = float(masses / masses.sum() @ divergences)
    # Rows whose entries differ from their mean by a relative δ have less than δ² of information.
    return information / scale if information > rounding_of_mean(len(rows)) ** 2 else 0.0


def _mean(rows: Distributions, masses: FloatArray) -> Distributions:
    """Return the weighted mean of the rows; of sparse rows as a sparse row.

    Where the weight of a row times its share of a bin is too small for a float, it is replaced by the smallest normal
    number: with a mean of 0 in that bin, the divergence from it would be infinite.
    """
    (mean,) = centers_of(rows, masses, np.zeros(len(rows), dtype=np.intp), 1, "mean")
    smallest = float(np.finfo(np.float64).tiny)
    if not rows.is_sparse:
        return Distributions(np.maximum(mean, smallest)[np.newaxis])
    used = np.unique(rows.values.indices)
    return Distributions(sp.csr_array((np.maximum(mean[used], smallest), used, [0, len(used)]), shape=(1, len(mean))))


def _entropies(rows: Distributions) -> FloatArray:
    """Return the entropy of each row in nats, in double precision; of sparse rows from what they store."""
    values, n_bins = rows.values, rows.shape[1]
    if not sp.issparse(values):
        dense = (values[some].astype(np.float64) for some in few_rows(len(rows), n_bins))
        return np.concatenate([_of_entries(some, lambda terms: terms.sum(axis=1)) for some in dense])

    def over_rows(terms: FloatArray) -> FloatArray:
        """Return the sum of the terms of each row."""
        sums: FloatArray = sp.csr_array((terms, values.indices, values.indptr), shape=values.shape).sum(axis=1)
        return sums

    data = values.data.astype(np.float64)
    if rows.background is None:
        return _of_entries(data, over_rows)
    of_bin, others = rows.background[:, 0].astype(np.float64), n_bins - np.diff(values.indptr)
    return _of_entries(data, over_rows, of_bin * others, entr(of_bin) * others)


def _of_entries(
    p: FloatArray, over_rows: Callable[[FloatArray], FloatArray], mass: Any = 0.0, information: Any = 0.0
) -> FloatArray:
    """Return the entropies of rows with the entries p, which ``over_rows`` sums for each row.

    ``mass`` and ``information`` are what entries that are not among them add to the sum of a row and to its entropy.

    A bin with more than half of the mass, of which a row has one at most, adds −(1 − r) ln(1 − r), where r is the sum
    of all others. To take the logarithm of its own entry, which is rounded, would lose the digits of a small entropy.
    """
    large = p > 0.5
    others = np.where(large, 0, p)
    r = over_rows(others) + mass
    of_large = np.where(over_rows(large.astype(np.float64)) > 0, -xlog1py(1 - r, -r), 0)
    entropies: FloatArray = over_rows(entr(others)) + information + of_large
    return entropies
