"""Divergences between the rows of one or two collections: as a matrix, as a condensed vector, row by row."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from skdiv._compute.measure import Measure, Symmetrize, check_symmetrize
from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName, resolve
from skdiv._input.checks import MatrixLike, as_weights, check_pseudocount
from skdiv._input.distributions import Distributions, as_distributions, normalise
from skdiv._input.names import names_of, refuse_other_bins
from skdiv._utils.memory import enough_memory
from skdiv._utils.typing import FloatArray

_REMEDIES = (  # for too little memory, the best first
    "Use nearest_divergences or divergences_within, which need no matrix; divergences_chunked, which holds some rows "
    "at a time; or pairwise_divergences with a numpy.memmap as out, which keeps the matrix on disk."
)


def as_pair(
    X: MatrixLike, Y: MatrixLike, pseudocount: float | None, arguments: tuple[str, str] = ("X", "Y")
) -> tuple[Distributions, Distributions]:
    """Check two collections of a user, which messages call by the names of the ``arguments``, and normalise their rows.

    Both are converted to a common dtype before that, so that equal weights give equal rows. Collections over different
    bins, also by their names, are refused. ``pseudocount`` is None where users cannot pass one.
    """
    x, y = arguments
    if isinstance(Y, str):
        raise TypeError(
            f"{y} = {Y!r} is not a collection of distributions; pass the name of a divergence as metric={Y!r}."
        )
    names = names_of(X, x), names_of(Y, y)
    refuse_other_bins(names[0].labels, names[1].labels, arguments)
    weights = as_weights(X, names[0]), as_weights(Y, names[1])
    if weights[0].shape[1] != weights[1].shape[1]:
        raise ValueError(
            f"{x} has {weights[0].shape[1]} bins (columns) and {y} has {weights[1].shape[1]}, "
            "but their rows must be over the same bins."
        )
    dtype = np.result_type(weights[0].dtype, weights[1].dtype)
    P, Q = (
        normalise(rows.astype(dtype, copy=False), pseudocount=pseudocount, names=its_names)
        for rows, its_names in zip(weights, names, strict=True)
    )
    return P, Q


def as_collections(
    X: MatrixLike, Y: MatrixLike | None, pseudocount: float | None
) -> tuple[Distributions, Distributions | None]:
    """Check one or two collections of a user, and normalise their rows; without Y there is no second one."""
    return (as_distributions(X, pseudocount=pseudocount), None) if Y is None else as_pair(X, Y, pseudocount)


def pairwise_divergences(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    metric: MetricName | Divergence = "js_distance",
    *,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Compute the matrix of divergences between the rows of X, or between the rows of X and those of Y.

    Entry [i, j] is D(X[i] ‖ Y[j]). For ``"kl"`` this is the information that is lost if Y[j] is used as a model of the
    true distribution X[i]. Each row holds a non-negative weight for every bin, and is divided by its sum.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_X, n_bins)
        Probabilities or counts.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), optional
        A second collection over the same bins; by default X itself.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of the list in the notes, or a `Divergence`, such as ``renyi(0.5)`` or
        one of your own.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats. ``"js_distance"`` is the square root of an information, and
        so is divided by the square root of ln(base). A base is an error for a divergence without a logarithm.
    pseudocount : float, default=0.0
        The number that is added to every entry of X and Y before the rows are normalised, in their units. For counts, 1
        is the choice of Laplace and 0.5 that of Jeffreys; for probabilities it has to be far smaller.
    n_jobs : int, optional
        Number of joblib workers. None means 1 unless in a `joblib.parallel_config` context, and -1 means all
        processors. The result is the same to the last bit for any number of workers and any backend of joblib.
    out : ndarray of shape (n_X, n_Y), optional
        An array that receives the result, block by block; it may be a `numpy.memmap`. Its dtype must be that of the
        result.

    Returns
    -------
    ndarray of shape (n_X, n_Y)
        The divergences, in nats unless ``base`` is given; float32 if X and Y are, else float64. An entry is ``inf``
        where the divergence is infinite, as that of ``"kl"`` where Y[j] is 0 in a bin in which X[i] is not.

    Raises
    ------
    ValueError
        If an entry is negative, NaN, infinite, beyond the range of float64, or so small that it would become 0 when it
        is divided by the sum of its row; if a row sums to zero; if X has not two dimensions, or only one column, over
        which all distributions are the same; if X and Y have different numbers of columns, or names of bins, as frames
        and lists of Series have, that differ in set or order; if the indices of a sparse matrix are out of bounds; or
        if an argument is not valid. The message names the row, the value and what to do.
    TypeError
        If X or Y is a masked array or holds anything but real numbers; or if ``out`` is a masked array or a
        `numpy.matrix`.
    MemoryError
        If the matrix does not fit into the memory that is left. It is raised before anything is computed.

    See Also
    --------
    condensed_divergences : Computes each pair once, as `scipy.cluster.hierarchy` takes it, in half the memory.
    paired_divergences : Computes D(X[i] ‖ Y[i]) alone.
    divergences_chunked : Computes some rows of the matrix at a time.
    nearest_divergences : Finds the nearest rows without the matrix.
    DivergenceClustering : Clusters rows by their divergences.

    Notes
    -----
    The metrics, of distributions p and q (sources in parentheses, in full in `divergences`), are

    - ``"kl"``: ``sum p ln(p/q)`` (Kullback & Leibler 1951).
    - ``"jeffreys"``: ``KL(p‖q) + KL(q‖p)`` (Jeffreys 1946).
    - ``"js_divergence"``: ``½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2`` (Lin 1991).
    - ``"js_distance"``: ``√(½ KL(p‖m) + ½ KL(q‖m)), m = (p + q)/2`` (Endres & Schindelin 2003; Fuglede & Topsøe 2004).
    - ``"hellinger"``: ``√(1 − sum √(pq))`` (Hellinger 1909; Kakutani 1948).
    - ``"bhattacharyya"``: ``−ln sum √(pq)`` (Bhattacharyya 1943; Kailath 1967).
    - ``"total_variation"``: ``½ sum |p − q|`` (Levin & Peres 2017).
    - ``"chi2"``: ``sum (p − q)² / q (Pearson's)`` (Pearson 1900).
    - ``"renyi"``: ``ln(sum p^α q^(1−α)) / (α − 1), α = 2`` (Rényi 1961; van Erven & Harremoës 2014).

    None of them knows that bin 3 lies beside bin 4; where that matters, use `skdiv.models.wasserstein_divergences`.

    *Accuracy*. The relative error of an entry D is at most 1e-9 + 1e-15 / √D (of a distance d, 1e-9 + 1e-15 / d), down
    to D = 1e-30. The second part is due to the rounding of the normalised rows. Equal rows are at exactly 0.

    *Single precision*. float32 input takes half the memory, and is computed in single precision where that is accurate
    enough. The error is then at most 2e-6, absolute for values up to one nat and relative above (for a distance, this
    holds for its square), if no entry is subnormal. A value beyond the range of single precision is ``inf``.

    *Sparse rows*. The time for a pair of rows in CSR grows with the number of entries that the two store. Equal rows
    are no exception: they share all their bins, and take as long as any two rows that do. With a pseudocount this holds
    for ``"kl"``, ``"jeffreys"``, ``"hellinger"``, ``"bhattacharyya"`` and `renyi` of an order below 1, and for the
    Jensen-Shannon metrics and ``"total_variation"`` if a row stores less than one bin in two hundred. Otherwise a few
    bins at a time are made dense.

    *Compiled code*. The Jensen-Shannon metrics and ``"total_variation"`` are compiled where Numba can be imported
    (``pip install numba``); `show_versions` says whether it is in use.

    References
    ----------
    The sources of the formulas are given in full in `divergences`.

    Examples
    --------
    >>> from skdiv import pairwise_divergences
    >>> X = [[0.10, 0.40, 0.50], [0.80, 0.15, 0.05]]
    >>> pairwise_divergences(X, metric="kl", base=2).round(3)
    array([[0.   , 1.927],
           [2.022, 0.   ]])
    >>> pairwise_divergences(X, [[1, 1, 1]], metric="js_distance").round(3)
    array([[0.207],
           [0.355]])
    """
    divergence = resolve(metric)
    measure = Measure(divergence, divergence._scale(base))
    P, Q = as_collections(X, Y, check_pseudocount(pseudocount))
    shape = len(P), len(P if Q is None else Q)
    if out is not None:
        _check_out(out, shape, P.dtype)
        return measure.matrix(P, Q, n_jobs=n_jobs, out=out)
    with _memory_for_result(f"The matrix of {shape[0]} × {shape[1]} divergences", shape[0] * shape[1], P.dtype):
        return measure.matrix(P, Q, n_jobs=n_jobs)


def condensed_divergences(
    X: MatrixLike,
    metric: MetricName | Divergence = "js_distance",
    *,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> FloatArray:
    """Compute the divergence of each pair of rows of X, in the order of `scipy.spatial.distance.pdist`.

    The result is the upper triangle of the matrix of divergences, without its diagonal, as a vector.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n, n_bins)
        Probabilities or counts; each row is divided by its sum.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `divergences` lists, or a `Divergence`.
    symmetrize : {"mean", "min", "max"}, optional
        How D(X[i] ‖ X[j]) and D(X[j] ‖ X[i]) of an asymmetric divergence are combined into one number. It has no effect
        on a symmetric divergence.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`.

    Returns
    -------
    ndarray of shape (n * (n - 1) // 2,)
        The divergences of the pairs with i < j, in nats unless ``base`` is given; float32 if X is, else float64. An
        entry may be ``inf``.

    Raises
    ------
    ValueError
        For the same reasons as in `pairwise_divergences`; also if the divergence is asymmetric and ``symmetrize`` is
        None.
    TypeError
        If X is a masked array or holds anything but real numbers.
    MemoryError
        If the vector does not fit into the memory that is left. It is raised before anything is computed.

    See Also
    --------
    pairwise_divergences : Computes the square matrix, with both directions.
    scipy.spatial.distance.squareform : Makes a square matrix of this vector.
    scipy.cluster.hierarchy.linkage : Builds a tree from this vector.

    Notes
    -----
    The metrics, of distributions p and q (sources in parentheses, in full in `divergences`), are

    - ``"kl"``: ``sum p ln(p/q)`` (Kullback & Leibler 1951).
    - ``"jeffreys"``: ``KL(p‖q) + KL(q‖p)`` (Jeffreys 1946).
    - ``"js_divergence"``: ``½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2`` (Lin 1991).
    - ``"js_distance"``: ``√(½ KL(p‖m) + ½ KL(q‖m)), m = (p + q)/2`` (Endres & Schindelin 2003; Fuglede & Topsøe 2004).
    - ``"hellinger"``: ``√(1 − sum √(pq))`` (Hellinger 1909; Kakutani 1948).
    - ``"bhattacharyya"``: ``−ln sum √(pq)`` (Bhattacharyya 1943; Kailath 1967).
    - ``"total_variation"``: ``½ sum |p − q|`` (Levin & Peres 2017).
    - ``"chi2"``: ``sum (p − q)² / q (Pearson's)`` (Pearson 1900).
    - ``"renyi"``: ``ln(sum p^α q^(1−α)) / (α − 1), α = 2`` (Rényi 1961; van Erven & Harremoës 2014).

    None of them knows that bin 3 lies beside bin 4; where that matters, use `skdiv.models.wasserstein_divergences`.

    References
    ----------
    The sources of the formulas are given in full in `divergences`.

    Examples
    --------
    >>> from skdiv import condensed_divergences
    >>> condensed_divergences([[1, 1, 0], [2, 1, 1], [0, 1, 3]]).round(3)
    array([0.328, 0.674, 0.489])
    """
    divergence = resolve(metric)
    symmetrization = check_symmetrize(divergence, symmetrize)
    measure = Measure(divergence, divergence._scale(base), symmetrization)
    rows = as_distributions(X, pseudocount=check_pseudocount(pseudocount))
    n_pairs = len(rows) * (len(rows) - 1) // 2
    with _memory_for_result(f"The vector of the {n_pairs} pairs of {len(rows)} rows", n_pairs, rows.dtype):
        return measure.condensed(rows, n_jobs=n_jobs)


def paired_divergences(
    X: MatrixLike,
    Y: MatrixLike,
    metric: MetricName | Divergence = "js_distance",
    *,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> FloatArray:
    """Compute the divergences D(X[i] ‖ Y[i]) between rows with the same position in X and in Y.

    It compares, for instance, each predicted distribution with the true one, or this week of each sensor with its last
    week.

    Parameters
    ----------
    X, Y : {array-like, sparse matrix, frame} of shape (n, n_bins)
        Probabilities or counts; each row is divided by its sum. Rows are matched by position; the index of a frame has
        no effect.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `divergences` lists, or a `Divergence`.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`.

    Returns
    -------
    ndarray of shape (n,)
        D(X[i] ‖ Y[i]), in nats unless ``base`` is given.

    Raises
    ------
    ValueError
        For the same reasons as in `pairwise_divergences`; also if X and Y differ in their numbers of rows.
    TypeError
        If X or Y is masked or holds anything but real numbers.

    See Also
    --------
    pairwise_divergences : Computes the divergences of all pairs of a row of X and a row of Y.

    Notes
    -----
    The metrics, of distributions p and q (sources in parentheses, in full in `divergences`), are

    - ``"kl"``: ``sum p ln(p/q)`` (Kullback & Leibler 1951).
    - ``"jeffreys"``: ``KL(p‖q) + KL(q‖p)`` (Jeffreys 1946).
    - ``"js_divergence"``: ``½ KL(p‖m) + ½ KL(q‖m), m = (p + q)/2`` (Lin 1991).
    - ``"js_distance"``: ``√(½ KL(p‖m) + ½ KL(q‖m)), m = (p + q)/2`` (Endres & Schindelin 2003; Fuglede & Topsøe 2004).
    - ``"hellinger"``: ``√(1 − sum √(pq))`` (Hellinger 1909; Kakutani 1948).
    - ``"bhattacharyya"``: ``−ln sum √(pq)`` (Bhattacharyya 1943; Kailath 1967).
    - ``"total_variation"``: ``½ sum |p − q|`` (Levin & Peres 2017).
    - ``"chi2"``: ``sum (p − q)² / q (Pearson's)`` (Pearson 1900).
    - ``"renyi"``: ``ln(sum p^α q^(1−α)) / (α − 1), α = 2`` (Rényi 1961; van Erven & Harremoës 2014).

    None of them knows that bin 3 lies beside bin 4; where that matters, use `skdiv.models.wasserstein_divergences`.

    References
    ----------
    The sources of the formulas are given in full in `divergences`.

    Examples
    --------
    >>> from skdiv import paired_divergences
    >>> truth, prediction = [[1, 0], [1, 1]], [[0.9, 0.1], [0.5, 0.5]]
    >>> paired_divergences(truth, prediction, metric="kl").round(3)
    array([0.105, 0.   ])
    """
    divergence = resolve(metric)
    measure = Measure(divergence, divergence._scale(base))
    P, Q = as_pair(X, Y, check_pseudocount(pseudocount))
    if len(P) != len(Q):
        raise ValueError(f"X has {len(P)} rows and Y has {len(Q)}: paired divergences need one row of Y for each of X.")
    return measure.paired(P, Q, n_jobs=n_jobs)


def _memory_for_result(what: str, n_entries: int, dtype: np.dtype[Any]) -> AbstractContextManager[None]:
    """Refuse a result of so many entries that does not fit into memory, before it is computed.

    ``what`` names it in the message.
    """
    return enough_memory(n_entries * dtype.itemsize, what, _REMEDIES)


def _check_out(out: FloatArray, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    """Refuse an ``out`` that is not a plain writeable array of this shape and dtype."""
    if isinstance(out, np.ma.MaskedArray | np.matrix):
        kind, plain = (
            ("a masked array", "out.data") if isinstance(out, np.ma.MaskedArray) else ("a matrix", "numpy.asarray(out)")
        )
        raise TypeError(f"out is {kind}, and must be a plain array; pass {plain}, which shares its memory.")
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        found = type(out).__name__
        if isinstance(out, np.ndarray):
            found = f"{'' if out.flags.writeable else 'read-only '}{out.dtype} array of shape {out.shape}"
        raise ValueError(f"out must be a writeable {dtype} array of shape {shape}, but it is a {found}.")
