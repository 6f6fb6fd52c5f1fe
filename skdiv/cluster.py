"""Agglomerative clustering of distributions, with prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import Tags, gen_batches
from sklearn.utils.validation import check_is_fitted, check_memory, validate_data

from skdiv._checks import (
    DTYPES,
    MatrixLike,
    Names,
    check_distances,
    check_sample_weight,
    names_of,
    refuse_other_columns,
    refuse_what_is_not_real,
)
from skdiv._distributions import Distributions, normalise
from skdiv._divergence import Divergence, resolve
from skdiv._graph import check_connectivity
from skdiv._information import information_curve
from skdiv._kernels import chosen
from skdiv._linkage import as_children, labels_of, n_clusters_below
from skdiv._significance import Significance, counts_for, significant_labels
from skdiv._sklearn import HasMethods, Interval, StrOptions, fit_context
from skdiv._terms import FloatArray
from skdiv._trees import LINKAGES, check_linkage, tree_of_distances, tree_of_rows
from skdiv._version import __version__
from skdiv.centroids import CENTROIDS, centres
from skdiv.pairwise import SYMMETRIZATIONS, BlockKernel, check_symmetrize

_OF_SOME_FITS = {"cluster_centers_", "information_curve_", "node_pvalues_", "_targets", "_target_kernel"}
_BATCH_BYTES = 64 * 2**20  # of distances from new rows to fitted ones


class DivergenceClustering(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, BaseEstimator):
    """Agglomerative clustering of probability distributions.

    The distributions (rows of probabilities or counts) are merged step by step, the nearest two clusters first. Unlike
    `sklearn.cluster.AgglomerativeClustering` it works on divergences, can label new distributions, and merges by Ward's
    criterion where that is legitimate: on a divergence that is a Euclidean distance in some Hilbert space.

    Parameters
    ----------
    n_clusters : int, Significance, "significant" or None, default=2
        Number of clusters; a `Significance` splits as long as the rows, which must be counts, differ significantly,
        and ``"significant"`` is one with its defaults. Either takes from a second to many minutes; the notes of
        `Significance` say how long. None if ``distance_threshold`` is given.
    metric : str or Divergence, default="js_distance"
        A name from `divergences`, a record, or ``"precomputed"``: X is then a square matrix of distances, and `predict`
        takes those from new distributions to the fitted ones, of shape (n_new, n_fitted).
    linkage : {"auto", "average", "complete", "information", "single", "ward"}, default="auto"
        The distance between clusters. ``"auto"`` is ward where the divergence is Hilbertian, else average. For
        ``"precomputed"`` it is average; with ward you vouch for a matrix of Euclidean distances. ``"information"``,
        for ``"kl"`` and the ``"js_*"`` metrics, is the information about the bins that a merge loses: see the notes.
    distance_threshold : float, optional
        Clusters at this distance or farther apart are not merged; ``n_clusters`` must then be None.
    connectivity : {array-like, sparse matrix} of shape (n_samples, n_samples) or callable, optional
        A graph, or a function such as `sklearn.neighbors.kneighbors_graph` that makes one of X: only neighbours in it
        merge, as regions on a map or days in a row, and only their divergences are computed. For average, complete and
        single linkage; ``"auto"`` is then average.
    symmetrize : {"mean", "min", "max"}, default="mean"
        How the two directions of an asymmetric divergence become one distance.
    assign : {"member", "centroid"}, default="member"
        How `transform` and `predict` measure the distance to a cluster: as that to its nearest fitted member, or as the
        divergence D(x ‖ centre) to its centre, for which no fitted data is kept.
    centroid : {"mean", "geometric", "js"}, default="mean"
        What the centre of a cluster is: see `barycenter`.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        Added to every entry before the rows are normalised, in the units of X: 0.5 or 1 for counts, far less for
        probabilities.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.
    memory : str or joblib.Memory, optional
        Caches the tree, so that another number of clusters costs nothing; not under a divergence of your own, whose
        term may change unseen.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each fitted distribution.
    n_clusters_ : int
        Number of clusters found.
    n_leaves_ : int
        Number of fitted distributions.
    children_ : ndarray of shape (n_samples - 1, 2)
        The nodes merged at each step; node i ≥ n_samples is the result of step i - n_samples.
    distances_ : ndarray of shape (n_samples - 1,)
        The distance at which each step merges. It may fall with linkage ``"information"`` and under a connectivity;
        clusters are then still those that are left after so many steps.
    linkage_matrix_ : ndarray of shape (n_samples - 1, 4)
        The tree as `scipy.cluster.hierarchy` has it, ready for its ``dendrogram``.
    linkage_ : str
        The linkage used: what ``"auto"`` stands for.
    cluster_centers_ : ndarray of shape (n_clusters, n_bins)
        The centre of each cluster: by default its weighted mean c, which minimises sum KL(p_i ‖ c). Absent for
        ``"precomputed"``.
    node_pvalues_ : ndarray of shape (n_samples - 1,)
        The p-value of each merge that was tested for `Significance`, and NaN for the others.
    information_curve_ : tuple of ndarrays of shape (n_samples,)
        Numbers of clusters, from 1 on, and the share of the information about the bins that so many clusters retain;
        with linkage ``"information"`` alone.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X has names that are all strings.

    See Also
    --------
    pairwise_divergences : The matrix it works on.
    sklearn.cluster.AgglomerativeClustering : For Euclidean data; the same trees on a precomputed matrix.

    Notes
    -----
    With linkage ``"information"`` merging clusters of masses v, w and means p, q into one of mean c costs
    v KL(p ‖ c) + w KL(q ‖ c). The masses are the weights of the rows, as shares of their sum, so all merges together
    lose the mutual information between rows and bins (nats, or by ``base``), and ``distances_`` tells what each loses.
    No matrix is held: memory is that of the rows.

    Otherwise `fit` needs twice the memory of the n (n - 1) / 2 distances, as float64, and with weights for average or
    ward linkage four times. `transform` names its columns
    ``divergenceclustering0`` and so on. For a grid search pass a scorer that compares labels, such as
    ``sklearn.metrics.make_scorer(adjusted_rand_score)``.

    References
    ----------
    J. H. Ward, "Hierarchical Grouping to Optimize an Objective Function", JASA 58 (1963).
    D. M. Endres and J. E. Schindelin, "A new metric for probability distributions", IEEE Transactions on Information
    Theory 49 (2003).
    A. Banerjee et al., "Clustering with Bregman Divergences", JMLR 6 (2005), for the mean as the centre.
    N. Slonim and N. Tishby, "Agglomerative Information Bottleneck", NIPS 12 (1999), for linkage by information.
    M. Telgarsky and S. Dasgupta, "Agglomerative Bregman Clustering", ICML (2012), for the same as Ward's criterion.

    Examples
    --------
    >>> from skdiv import DivergenceClustering
    >>> X = [[8, 1, 1], [7, 2, 1], [1, 1, 8], [0, 2, 8]]
    >>> clustering = DivergenceClustering(n_clusters=2).fit(X)
    >>> clustering.labels_
    array([1, 1, 0, 0])
    >>> clustering.predict([[9, 1, 0], [0, 0, 5]])
    array([1, 0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any] | str]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), Significance, StrOptions({"significant"}), None],
        "metric": "no_validation",  # by `resolve`
        "linkage": [StrOptions({"auto", *LINKAGES})],
        "distance_threshold": [Interval(Real, 0, None, closed="left"), None],
        "symmetrize": [StrOptions(set(SYMMETRIZATIONS))],
        "connectivity": ["array-like", "sparse matrix", callable, None],
        "assign": [StrOptions({"member", "centroid"})],
        "centroid": [StrOptions(set(CENTROIDS))],
        "base": [Interval(Real, 1, None, closed="neither"), None],
        "pseudocount": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "memory": [str, HasMethods("cache"), None],
    }

    def __init__(
        self,
        n_clusters: int | Significance | str | None = 2,
        *,
        metric: str | Divergence = "js_distance",
        linkage: str = "auto",
        distance_threshold: float | None = None,
        connectivity: Any = None,
        symmetrize: str = "mean",
        assign: str = "member",
        centroid: str = "mean",
        base: float | None = None,
        pseudocount: float = 0.0,
        n_jobs: int | None = None,
        memory: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.metric = metric
        self.linkage = linkage
        self.distance_threshold = distance_threshold
        self.symmetrize = symmetrize
        self.connectivity = connectivity
        self.assign = assign
        self.centroid = centroid
        self.base = base
        self.pseudocount = pseudocount
        self.n_jobs = n_jobs
        self.memory = memory

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: None = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: ARG002
        """Build the tree of the distributions in X and cut it.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
            Probabilities or counts; a square matrix of distances if ``metric="precomputed"``.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), optional
            A positive mass for each row, which counts as so many equal rows; ``X.sum(axis=1)`` for counts. It enters
            the centres, and linkage by information, average and ward.

        Returns
        -------
        DivergenceClustering
            The fitted estimator.

        Raises
        ------
        ValueError
            If a row is not a distribution, a distance is infinite, a precomputed matrix is not one of distances, or the
            parameters do not fit together, as ward on a divergence that is not Hilbertian.
        """
        self._check_combination()
        names, validated = names_of(X), self._validated(X, reset=True)
        n_samples = validated.shape[0]
        if isinstance(self.n_clusters, Integral) and int(self.n_clusters) > n_samples:
            raise ValueError(f"n_clusters = {self.n_clusters} is more than the {n_samples} rows of X.")
        rule = Significance() if self.n_clusters == "significant" else self.n_clusters
        masses = check_sample_weight(sample_weight, n_samples)
        rows = None if self._is_precomputed else normalise(validated, pseudocount=self.pseudocount, names=names)
        counts = counts_for(rule, validated, names) if isinstance(rule, Significance) else None
        tree = self._tree(validated, rows, masses, names)
        if isinstance(rule, Significance):
            labels, pvalues = significant_labels(
                counts, tree, rule, self._kernel(), self.linkage_, masses=masses, pseudocount=self.pseudocount,
                n_jobs=self.n_jobs,
            )  # fmt: skip
        else:
            labels, pvalues = labels_of(tree, self._n_clusters(tree)), None
        self._dtype = validated.dtype
        self._store_tree(tree, pvalues)
        self._store_clusters(rows, labels, masses)
        return self

    def predict(self, X: MatrixLike) -> NDArray[np.intp]:
        """The nearest cluster of each row of X, by the distance that `transform` returns.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts; distances of shape (n_new, n_fitted) if ``metric="precomputed"``.

        Returns
        -------
        ndarray of shape (n_new,)
            Labels. With ``assign="member"`` those of the fitted distributions are ``labels_`` again, unless equal rows
            were put into different clusters.

        Raises
        ------
        ValueError
            If a row is not a distribution, or is infinitely far from every cluster.
        """
        names, validated = names_of(X), self._validated(X, reset=False)
        labels = np.empty(validated.shape[0], dtype=np.intp)
        for batch, distances in self._to_clusters(validated, names):
            labels[batch] = distances.argmin(axis=1)
            _refuse_unreachable(distances, batch.start, names)
        return labels

    def transform(self, X: MatrixLike) -> FloatArray:
        """The distance of each row of X to each cluster.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts; distances of shape (n_new, n_fitted) if ``metric="precomputed"``.

        Returns
        -------
        ndarray of shape (n_new, n_clusters)
            To the nearest fitted member, or with ``assign="centroid"`` the divergence D(x ‖ centre), in nats unless
            ``base`` is given.
        """
        names, validated = names_of(X), self._validated(X, reset=False)
        out = np.empty((validated.shape[0], self.n_clusters_), dtype=validated.dtype)
        for batch, distances in self._to_clusters(validated, names):
            out[batch] = distances
        return out

    # --- Parameters and input ---

    @property
    def _is_precomputed(self) -> bool:
        return isinstance(self.metric, str) and self.metric == "precomputed"

    def _check_combination(self) -> None:
        """Refuse parameters that do not fit together, before anything is computed."""
        if (self.n_clusters is None) == (self.distance_threshold is None):
            raise ValueError(
                "Exactly one of n_clusters and distance_threshold has to be set, and the other must be None; got "
                f"n_clusters = {self.n_clusters} and distance_threshold = {self.distance_threshold}."
            )
        with_counts = self.n_clusters == "significant" or isinstance(self.n_clusters, Significance)
        if with_counts and (self._is_precomputed or self.connectivity is not None):
            what = "metric='precomputed'" if self._is_precomputed else "a connectivity"
            raise ValueError(
                f"n_clusters = {self.n_clusters!r} cannot be had with {what}: the test draws counts, and builds a tree "
                "of them as it was built of X."
            )
        if self._is_precomputed:
            for name, default in (("assign", "member"), ("centroid", "mean"), ("base", None), ("pseudocount", 0)):
                if getattr(self, name) != default:
                    raise ValueError(
                        f"{name} = {getattr(self, name)!r} needs the distributions; metric='precomputed' has none."
                    )
            if self.linkage == "information":
                raise ValueError("linkage='information' needs the distributions; metric='precomputed' has none.")
            return
        divergence = resolve(self.metric)
        divergence.scale(self.base)
        check_linkage(self.linkage, divergence)

    def _kernel(self) -> BlockKernel:
        """The distance between two distributions."""
        divergence = resolve(self.metric)
        symmetrize = check_symmetrize(divergence, self.symmetrize)
        return BlockKernel(divergence, divergence.scale(self.base), symmetrize)

    def _validated(self, X: MatrixLike, *, reset: bool) -> Any:
        """X as a float array or CSR matrix, checked against the fitted columns; `normalise` checks its entries."""
        if not reset:
            check_is_fitted(self)
        names = names_of(X)
        refuse_what_is_not_real(X, names, also="cO")  # scikit-learn refuses complex numbers, and asks for objects
        validated = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse=False if self._is_precomputed else "csr",
            # New rows in the precision of the fitted ones, else equal weights would not give equal distributions.
            dtype=DTYPES if reset else self._dtype,
            ensure_all_finite=False,
            ensure_min_samples=2 if reset else 1,
        )
        if reset:
            self._columns = names.columns
        else:
            order = ", for instance X[fitted.columns]"  # scikit-learn compares names that are strings alone
            refuse_other_columns(names.columns, self._columns, ("X", "the fitted X"), order)
        if self._is_precomputed:
            check_distances(validated, names)
        return validated

    # --- Fitting ---

    def _tree(self, X: Any, rows: Distributions | None, masses: FloatArray | None, names: Names) -> FloatArray:
        divergence = None if rows is None else resolve(self.metric)
        self.linkage_ = self.linkage
        if self.linkage == "auto":
            ward = divergence is not None and divergence.hilbertian and self.connectivity is None
            self.linkage_ = "ward" if ward else "average"
        graph = check_connectivity(self.connectivity, X, self.linkage_, masses)
        if rows is None:
            return tree_of_distances(X, masses, self.linkage_, graph)
        kernel = self._kernel()
        build = tree_of_rows
        if self._is_cacheable(kernel.divergence):
            build = check_memory(self.memory).cache(tree_of_rows, ignore=["n_jobs", "names"])
        tree: FloatArray = build(rows, masses, kernel, self.linkage_, graph, __version__, self.n_jobs, names)
        return tree

    @staticmethod
    def _is_cacheable(divergence: Divergence) -> bool:
        """A cache knows a function by its name alone, so one of the user's may have changed unseen."""
        functions = [divergence.term, divergence.finish, *filter(None, [divergence.rows])]
        return all(getattr(function, "__module__", "").startswith("skdiv.") for function in functions)

    def _n_clusters(self, tree: FloatArray) -> int:
        if self.distance_threshold is None:
            return int(self.n_clusters)  # type: ignore[arg-type]
        return n_clusters_below(tree, self.distance_threshold)

    def _store_tree(self, tree: FloatArray, pvalues: FloatArray | None) -> None:
        for of_earlier_fit in _OF_SOME_FITS & vars(self).keys():
            delattr(self, of_earlier_fit)
        self.linkage_matrix_ = tree
        self.n_leaves_ = len(tree) + 1
        self.children_ = as_children(tree)
        self.distances_ = tree[:, 2]
        if self.linkage_ == "information":
            self.information_curve_ = information_curve(self.distances_)
        if pvalues is not None:
            self.node_pvalues_ = pvalues

    def _store_clusters(self, rows: Distributions | None, labels: NDArray[np.intp], masses: FloatArray | None) -> None:
        """Keep what prediction needs: the members sorted by cluster, or the centres alone."""
        self.labels_, self.n_clusters_ = labels, int(labels.max()) + 1
        order = np.argsort(self.labels_, kind="stable")
        self._member_starts = np.searchsorted(self.labels_[order], np.arange(self.n_clusters_))
        self._member_order = order
        self._n_features_out = self.n_clusters_
        self._assigns = "precomputed" if rows is None else self.assign
        if rows is not None:
            self.cluster_centers_ = centres(rows, masses, self.labels_, self.n_clusters_, self.centroid)
            kernel = self._kernel()
            if self.assign == "member":
                self._target_kernel, self._targets = kernel, rows[order]
            else:
                self._target_kernel = BlockKernel(kernel.divergence, kernel.scale)
                self._targets = Distributions(self.cluster_centers_)

    # --- Prediction ---

    def _to_clusters(self, X: Any, names: Names) -> Iterator[tuple[slice, FloatArray]]:
        """Distances to the clusters, as many rows at a time as fit `_BATCH_BYTES` and scikit-learn's working memory."""
        precomputed = self._assigns == "precomputed"
        n_targets = self.n_leaves_ if precomputed else len(self._targets)
        room = min(_BATCH_BYTES, int(get_config()["working_memory"] * 2**20))
        size = max(1, room // (8 * n_targets))
        rows = None if precomputed else normalise(X, pseudocount=self.pseudocount, names=names)
        for batch in gen_batches(X.shape[0], size):
            yield batch, self._batch_to_clusters(X[batch][:, self._member_order] if rows is None else rows[batch])

    def _batch_to_clusters(self, batch: Any) -> FloatArray:
        distances: FloatArray
        if self._assigns == "precomputed":
            distances = batch
        else:
            here = replace(self._target_kernel, kernel=chosen())  # a model may have been fitted where Numba was at hand
            distances = here.matrix(batch, self._targets, n_jobs=self.n_jobs)
        if self._assigns == "centroid":
            return distances
        nearest: FloatArray = np.minimum.reduceat(distances, self._member_starts, axis=1)
        return nearest

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self._is_precomputed
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = not self._is_precomputed
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _refuse_unreachable(distances: FloatArray, start: int, names: Names) -> None:
    unreachable = np.flatnonzero(np.isinf(distances.min(axis=1)))
    if unreachable.size:
        raise ValueError(
            f"{names.row(start + int(unreachable[0]))} is infinitely far from every cluster, so it belongs to none. "
            "Pass a pseudocount, or choose a bounded metric such as 'js_distance'."
        )
