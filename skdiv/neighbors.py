"""The nearest distributions, or all within a radius, without the matrix of all divergences."""

from __future__ import annotations

from contextlib import AbstractContextManager
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_scalar
from sklearn.utils.validation import check_is_fitted

from skdiv._compute.duplicates import nearest_rows
from skdiv._compute.graphs import graph_of, joined, mirrored, without_zeros
from skdiv._compute.measure import SYMMETRIZATIONS, Measure, Symmetrize, check_symmetrize
from skdiv._compute.search import Search, within
from skdiv._compute.spanning import spanning_tree
from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName, resolve
from skdiv._input.checks import MatrixLike, check_pseudocount
from skdiv._input.distributions import Distributions, normalise
from skdiv._input.estimators import learned_input, store_fitted, validated_input
from skdiv._input.names import ColumnLabels, names_of
from skdiv._utils.memory import enough_memory
from skdiv._utils.sklearn import Interval, StrOptions, fit_context
from skdiv._utils.typing import FloatArray, Places
from skdiv.pairwise import as_collections

__all__ = ["DivergenceNeighborsTransformer", "divergences_within", "nearest_divergences"]


def nearest_divergences(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    n_neighbors: int = 5,
    metric: MetricName | Divergence = "js_distance",
    *,
    reverse: bool = False,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> tuple[FloatArray, Places]:
    """Find the nearest rows of Y for each row of X, or for each row of X the nearest other rows of X.

    The result is the same as if each row of the matrix of `skdiv.pairwise_divergences` were sorted; nothing is
    approximated. But the memory grows with the number of rows and not with the number of pairs, and most pairs are
    ruled out by bounds, which take a fraction of the time of the divergences.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_X, n_bins)
        Probabilities or counts; each row is divided by its sum.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), optional
        The collection in which the neighbours are looked for; by default X itself, where no row is its own neighbour.
    n_neighbors : int, default=5
        The number of neighbours of each row.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `skdiv.divergences` lists, or a `skdiv.Divergence`.
    reverse : bool, default=False
        Which direction of an asymmetric divergence is computed: D(X[i] ‖ Y[j]), or with ``reverse=True``
        D(Y[j] ‖ X[i]).
    symmetrize : {"mean", "min", "max"}, optional
        How D(X[i] ‖ Y[j]) and D(Y[j] ‖ X[i]) of an asymmetric divergence are combined into one number.
        By default they are not.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers, as in `skdiv.pairwise_divergences`. The result does not depend on it.

    Returns
    -------
    divergences : ndarray of shape (n_X, n_neighbors)
        The divergences of the neighbours in ascending order, in nats unless ``base`` is given.
    indices : ndarray of shape (n_X, n_neighbors)
        The positions of the neighbours among the rows of Y, or without Y of X. Of equal divergences the row with the
        lower position comes first.

    Raises
    ------
    ValueError
        If there are fewer rows than neighbours, or for the same reasons as in `skdiv.pairwise_divergences`.
    TypeError
        For the same reasons as in `skdiv.pairwise_divergences`.
    MemoryError
        If the result does not fit into the memory that is left.

    See Also
    --------
    divergences_within : Finds all rows within a radius.
    skdiv.neighbors.DivergenceNeighborsTransformer : Makes a graph of the neighbours, for other estimators.

    Notes
    -----
    Pairs of dense rows are ruled out by a matrix product in single precision, which bounds their divergence from below
    and above. There are such bounds for ``"js_distance"``, ``"js_divergence"`` and ``"hellinger"``, and, where no entry
    is 0, for ``"kl"`` and ``"jeffreys"``. For Jensen-Shannon they are the squared distances of the features of
    `skdiv.embedding.DivergenceEmbedding`, whose largest relative error is known. A few dozen candidates remain for each
    row, and their divergences are computed exactly. With other divergences, with sparse rows, and with thousands of
    near duplicates, all pairs are computed in blocks, in the same memory.

    The divergences are as accurate as those of `skdiv.pairwise_divergences`. They may differ from them in the last
    bits, and so may the order of two rows that are equally far up to rounding.

    References
    ----------
    B. Fuglede and F. Topsøe, "Jensen-Shannon Divergence and Hilbert Space Embedding", IEEE International Symposium on
    Information Theory (2004), 31.

    Examples
    --------
    >>> from skdiv import nearest_divergences
    >>> X = [[8, 1, 1], [7, 2, 1], [1, 2, 7], [1, 1, 8]]
    >>> divergences, indices = nearest_divergences(X, n_neighbors=1)
    >>> indices[:, 0].tolist()
    [1, 0, 3, 2]
    >>> nearest_divergences([[1, 1, 0]], X, n_neighbors=2, metric="kl")[0].round(4).tolist()
    [[0.2899, 0.5697]]
    """
    measure = _measure_of(metric, symmetrize, base)
    P, Q = as_collections(X, Y, check_pseudocount(pseudocount))
    check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
    n_neighbors = _checked_n_neighbors(n_neighbors, len(P) - 1 if Q is None else len(Q), "X" if Q is None else "Y")
    with _memory_for_neighbours(len(P), n_neighbors):
        return nearest_rows(measure, P, Q, n_neighbors, reverse=reverse, n_jobs=n_jobs)


def divergences_within(
    X: MatrixLike,
    Y: MatrixLike | None = None,
    metric: MetricName | Divergence = "js_distance",
    *,
    radius: float,
    reverse: bool = False,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> sp.csr_array:
    """Find all pairs of a row of X and a row of Y whose divergence is at most a radius.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_X, n_bins)
        Probabilities or counts; each row is divided by its sum.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), optional
        A second collection over the same bins; by default X itself, without the pairs of a row with itself.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `skdiv.divergences` lists, or a `skdiv.Divergence`.
    radius : float
        The largest divergence, in nats unless ``base`` is given.
    reverse : bool, default=False
        Which direction of an asymmetric divergence is computed: D(X[i] ‖ Y[j]), or with ``reverse=True``
        D(Y[j] ‖ X[i]).
    symmetrize : {"mean", "min", "max"}, optional
        How D(X[i] ‖ Y[j]) and D(Y[j] ‖ X[i]) of an asymmetric divergence are combined into one number.
        By default they are not.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers, as in `skdiv.pairwise_divergences`. The result does not depend on it.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_X, n_Y)
        The divergences of the pairs that were found. A divergence of 0 is stored too, so a pair without a stored entry
        is farther apart than the radius. For methods that take a stored 0 for no edge, `DivergenceNeighborsTransformer`
        makes a graph.

    Raises
    ------
    ValueError
        If the radius is negative or NaN, or for the same reasons as in `skdiv.pairwise_divergences`.
    TypeError
        For the same reasons as in `skdiv.pairwise_divergences`.
    MemoryError
        If the pairs that have been found do not fit into memory twice, which is needed to put them together.

    See Also
    --------
    nearest_divergences : Finds a given number of nearest rows.

    Notes
    -----
    The search is that of `nearest_divergences`: its notes say for which metrics and rows pairs are ruled out by bounds.
    The memory grows with the number of pairs that are found.

    References
    ----------
    B. Fuglede and F. Topsøe, "Jensen-Shannon Divergence and Hilbert Space Embedding", IEEE International Symposium on
    Information Theory (2004), 31.

    Examples
    --------
    >>> from skdiv import divergences_within
    >>> divergences_within([[8, 1, 1], [7, 2, 1], [1, 2, 7], [1, 1, 8]], radius=0.2).toarray().round(3)
    array([[0.   , 0.101, 0.   , 0.   ],
           [0.101, 0.   , 0.   , 0.   ],
           [0.   , 0.   , 0.   , 0.101],
           [0.   , 0.   , 0.101, 0.   ]])
    """
    measure = _measure_of(metric, symmetrize, base)
    radius = float(check_scalar(radius, "radius", Real, min_val=0))
    if np.isnan(radius):
        raise ValueError("radius = nan must be a number that is not negative.")
    P, Q = as_collections(X, Y, check_pseudocount(pseudocount))
    return within(Search.of(measure, P, Q, reverse=reverse), P, radius, n_jobs)


class DivergenceNeighborsTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Transform distributions into the sparse graph of their nearest neighbours.

    It does for divergences what `sklearn.neighbors.KNeighborsTransformer` does for Euclidean distances. In a pipeline
    it stands before an estimator that takes a graph of distances as ``metric="precomputed"``, such as
    `~sklearn.neighbors.KNeighborsClassifier`, `~sklearn.cluster.DBSCAN`, `~sklearn.cluster.SpectralClustering`,
    `~sklearn.manifold.TSNE`, UMAP or HDBSCAN.

    Parameters
    ----------
    mode : {"distance", "connectivity"}, default="distance"
        Whether the stored entries of the graph are the divergences, or 1 for each neighbour.
    n_neighbors : int, default=5
        The number of neighbours of each row. As in scikit-learn, the graph has one neighbour more with
        ``mode="distance"``: for a fitted row this is the row itself, at distance 0.
    radius : float, optional
        If it is given, all rows within this radius are neighbours, and ``n_neighbors`` has no effect.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `skdiv.divergences` lists, or a `skdiv.Divergence`.
    symmetrize : {"mean", "min", "max"}, optional
        How both directions of an asymmetric divergence are combined into one number; by default the graph holds
        D(row ‖ neighbour), where the neighbour is a fitted row.
    symmetric : bool, default=False
        Whether the graph of the fitted rows is made symmetric: two rows are then connected if one of them is a
        neighbour of the other. Spectral clustering, UMAP and HDBSCAN ask for it.
    connected : bool, default=False
        Whether the edges of a minimum spanning tree of all fitted rows are added to their graph, in both directions, so
        that it is connected. HDBSCAN and spectral clustering ask for it, and single linkage on the graph is then exact.
        Distances of 0 between different rows then become 1e-300, or in single precision 1.2e-38; see the notes.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers, as in `skdiv.pairwise_divergences`. The result does not depend on it.

    Attributes
    ----------
    n_samples_fit_ : int
        The number of fitted rows.
    n_features_in_ : int
        The number of bins.
    feature_names_in_ : ndarray of str
        The names of the columns, if X is a frame.

    See Also
    --------
    skdiv.nearest_divergences : Finds the neighbours, and returns them as two arrays.
    sklearn.neighbors.KNeighborsTransformer : Does this for Euclidean distances.

    Notes
    -----
    *Equal rows* are at distance 0 from each other, and the graph stores these zeros. SciPy's ``minimum_spanning_tree``
    takes a stored zero for no edge, and so does `sklearn.cluster.HDBSCAN`, which then returns wrong labels or does not
    return at all. With ``connected=True`` the graph is meant for such readers: except on the diagonal it holds 1e-300
    in place of 0, and in single precision the smallest normal number, 1.2e-38. Other distances are larger, so the
    spanning trees are those of the matrix. UMAP treats 0 in a way of its own, and in single precision needs the graph
    without ``connected=True``.

    References
    ----------
    The formulas of the divergences and their sources are those of `skdiv.divergences`.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skdiv.neighbors import DivergenceNeighborsTransformer
    >>> X, y = [[8, 1, 1], [7, 2, 1], [1, 2, 7], [1, 1, 8]], ["a", "a", "b", "b"]
    >>> classifier = KNeighborsClassifier(1, metric="precomputed")
    >>> make_pipeline(DivergenceNeighborsTransformer(n_neighbors=1), classifier).fit(X, y).predict([[2, 1, 0]]).tolist()
    ['a']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "mode": [StrOptions({"distance", "connectivity"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "radius": [Interval(Real, 0, None, closed="left"), None],
        "metric": [str, Divergence],
        "symmetrize": [StrOptions(set(SYMMETRIZATIONS)), None],
        "symmetric": ["boolean"],
        "connected": ["boolean"],
        "base": [Interval(Real, 1, None, closed="neither"), None],
        "pseudocount": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [Integral, None],
    }
    n_samples_fit_: int
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    _column_labels: ColumnLabels
    _dtype: np.dtype[Any]
    _rows: Distributions
    _measure: Measure
    _pseudocount: float
    _n_features_out: int

    def __init__(
        self,
        mode: Literal["distance", "connectivity"] = "distance",
        *,
        n_neighbors: int = 5,
        radius: float | None = None,
        metric: MetricName | Divergence = "js_distance",
        symmetrize: Symmetrize | None = None,
        symmetric: bool = False,
        connected: bool = False,
        base: float | None = None,
        pseudocount: float = 0.0,
        n_jobs: int | None = None,
    ) -> None:
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.radius = radius
        self.metric = metric
        self.symmetrize = symmetrize
        self.symmetric = symmetric
        self.connected = connected
        self.base = base
        self.pseudocount = pseudocount
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: None = None) -> Self:  # noqa: ARG002
        """Keep the rows of X, in which neighbours are looked for.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
            Probabilities or counts.
        y : None
            Ignored.

        Returns
        -------
        DivergenceNeighborsTransformer
            The fitted transformer.

        Raises
        ------
        ValueError, TypeError
            If a row is not a distribution, or the parameters do not fit together.
        """
        measure = _measure_of(self.metric, self.symmetrize, self.base)
        if (self.symmetric or self.connected) and not measure.symmetric:
            asked, name = "symmetric" if self.symmetric else "connected", measure.divergence.name
            raise ValueError(
                f"{asked}=True needs one number for a pair of rows, and metric {name!r} is not symmetric: pass "
                "symmetrize='mean', 'min' or 'max'."
            )
        validated, learned = learned_input(self, X)
        rows = normalise(validated, pseudocount=self.pseudocount, names=names_of(X))
        fitted = {"_rows": rows, "_measure": measure, "_pseudocount": self.pseudocount}
        store_fitted(self, _FITTED, learned, fitted, {"n_samples_fit_": len(rows), "_n_features_out": len(rows)})
        return self

    def fit_transform(self, X: MatrixLike, y: None = None) -> sp.csr_matrix:
        """Keep the rows of X, and return the graph of their neighbours among each other.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
            Probabilities or counts.
        y : None
            Ignored.

        Returns
        -------
        scipy.sparse.csr_matrix of shape (n_samples, n_samples)
            The graph; each row holds its neighbours in ascending order of their divergence, unless ``symmetric``, and
            with a ``radius`` in the order of the columns.

        Raises
        ------
        ValueError, TypeError
            As `fit`; also if there are fewer rows than neighbours.
        """
        self.fit(X, y)
        n = len(self._rows)
        others = self._neighbours(self._rows, None, self.n_neighbors - (self.mode == "connectivity"))
        of_itself = np.full(n, self.mode == "connectivity", dtype=others.dtype)
        itself = sp.csr_matrix((of_itself, np.arange(n), np.arange(n + 1)), shape=(n, n))
        graph = joined(itself, others)
        if self.symmetric:
            graph = mirrored(graph)
        return joined(without_zeros(graph), without_zeros(self._spanning_tree())) if self.connected else graph

    def transform(self, X: MatrixLike) -> sp.csr_matrix:
        """Return the graph of new rows and their neighbours among the fitted rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts.

        Returns
        -------
        scipy.sparse.csr_matrix of shape (n_new, n_samples_fit)
            The graph; each row holds its neighbours in ascending order of their divergence, and with a ``radius`` in
            the order of the columns.

        Raises
        ------
        ValueError, TypeError
            If a row is not a distribution, or the columns of a frame differ in name or order from those of the fitted
            one; or if fewer rows were fitted than there are to be neighbours.
        """
        check_is_fitted(self)
        rows = normalise(validated_input(self, X, reset=False), pseudocount=self._pseudocount, names=names_of(X))
        return self._neighbours(rows, self._rows, self.n_neighbors + (self.mode == "distance"))

    def _neighbours(self, P: Distributions, Q: Distributions | None, n_neighbors: int) -> sp.csr_matrix:
        """Return the graph of rows and their neighbours in Q, or without Q of rows among each other."""
        n_right = len(P) if Q is None else len(Q)
        if self.radius is not None:
            graph = within(Search.of(self._measure, P, Q, reverse=False), P, self.radius, self.n_jobs)
        else:
            n_neighbors = _checked_n_neighbors(n_neighbors, n_right - (Q is None), "the fitted X")
            with _memory_for_neighbours(len(P), n_neighbors):
                distances, indices = nearest_rows(self._measure, P, Q, n_neighbors, reverse=False, n_jobs=self.n_jobs)
            i = np.repeat(np.arange(len(P)), n_neighbors)
            graph = graph_of(i, indices.ravel(), distances.ravel(), (len(P), n_right))
        if self.mode == "connectivity":
            graph.data[:] = 1
        return sp.csr_matrix(graph)

    def _spanning_tree(self) -> sp.csr_matrix:
        """Return a minimum spanning tree of the fitted rows, with each edge in both directions."""
        i, j, lengths = spanning_tree(self._measure, self._rows, self.n_jobs)
        if self.mode == "connectivity":
            lengths = np.ones_like(lengths)
        n = len(self._rows)
        rows, columns = np.concatenate([i, j]), np.concatenate([j, i])
        order = np.argsort(rows, kind="stable")
        return graph_of(rows[order], columns[order], np.concatenate([lengths, lengths])[order], (n, n))

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags, which say what input the transformer takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


_FITTED = frozenset(DivergenceNeighborsTransformer.__annotations__)  # the fitted attributes


def _measure_of(metric: str | Divergence, symmetrize: str | None, base: float | None) -> Measure:
    """Return the measure that the arguments describe; without ``symmetrize`` it is that of one direction."""
    divergence = resolve(metric)
    symmetrization = None if symmetrize is None else check_symmetrize(divergence, symmetrize)
    return Measure(divergence, divergence._scale(base), symmetrization)


def _checked_n_neighbors(n_neighbors: int, n: int, name: str) -> int:
    """Return the number of neighbours, and refuse more than the n rows that there are."""
    if n_neighbors > n:
        raise ValueError(
            f"n_neighbors = {n_neighbors}, but {name} has {n} rows that may be neighbours. Ask for at most {n}."
        )
    return int(n_neighbors)


def _memory_for_neighbours(n: int, n_neighbors: int) -> AbstractContextManager[None]:
    """Refuse so many neighbours of n rows that do not fit into memory, before they are looked for."""
    n_bytes = n * n_neighbors * (np.dtype(np.float64).itemsize + np.dtype(np.intp).itemsize)
    what = f"The divergences and positions of {n_neighbors} neighbours of {n} rows"
    return enough_memory(n_bytes, what, "Ask for fewer neighbours, or for those of some rows of X at a time.")
