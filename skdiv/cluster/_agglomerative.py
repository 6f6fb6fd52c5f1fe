"""Agglomerative clustering of distributions, with prediction."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skdiv._compute.measure import SYMMETRIZATIONS, Measure, Symmetrize
from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName, resolve
from skdiv._input.blocks import BlocksLike, checked_blocks
from skdiv._input.checks import MatrixLike
from skdiv._input.estimators import learned_input, store_fitted, validated_input
from skdiv._input.names import ColumnLabels, names_of
from skdiv._input.weights import WeightsLike, masses_of
from skdiv._trees.build import LINKAGES, Linkage, resolved_linkage
from skdiv._trees.cut import checked_rule
from skdiv._utils.sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
    reporting_to_callbacks,
)
from skdiv._utils.typing import FloatArray, Labels
from skdiv.barycenters import CENTERS, Center
from skdiv.cluster._combinations import check_combination, check_fit_arguments, is_precomputed
from skdiv.cluster._fitting import Given, fitted_attributes, most_stages
from skdiv.cluster._prediction import Assign, HandleEmpty, Predictor, predicted, transformed
from skdiv.cluster._report import html_report
from skdiv.cluster._scoring import distances_between, silhouette, square_of_fitted
from skdiv.significance import Significance


class DivergenceClustering(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, BaseEstimator
):
    """Agglomerative clustering of probability distributions.

    Each row of X, which holds probabilities or counts, begins as a cluster of its own. In each step the two nearest
    clusters are merged, so that a tree results, which is then cut. Unlike `sklearn.cluster.AgglomerativeClustering`
    this estimator takes divergences for distances, predicts the clusters of new rows, and offers Ward linkage where it
    is valid: for divergences that are Euclidean distances in some Hilbert space.

    Parameters
    ----------
    n_clusters : int, Significance, "significant" or None, default=2
        The number of clusters. A `Significance` chooses it by tests of the tree, for rows of counts, and
        ``"significant"`` is the same with its default values; its notes say how long that takes. None if
        ``distance_threshold`` is given.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of the list in the notes, or a `Divergence`. With ``"precomputed"`` X is
        a square matrix of distances, and `predict` takes the distances from new rows to the fitted ones, of shape
        (n_new, n_fitted).
    linkage : {"auto", "average", "complete", "information", "single", "ward"}, default="auto"
        How the distance between two clusters is measured; the notes define each. ``"auto"`` takes ward linkage for
        ``"js_distance"``, ``"hellinger"`` and every other divergence that is a Euclidean distance in a Hilbert space,
        and else average linkage, as for ``"precomputed"``. ``"information"`` is for ``"kl"`` and the Jensen-Shannon
        metrics.
    distance_threshold : float, optional
        Clusters this far apart or farther by the linkage are not merged. ``n_clusters`` must then be None.
    connectivity : {array-like, sparse matrix} of shape (n_samples, n_samples) or callable, optional
        A graph of the rows, or a function that makes one from X, such as `sklearn.neighbors.kneighbors_graph`. Only
        clusters that it connects are merged, as adjacent regions on a map, and only the divergences along its edges are
        computed. It works with average, complete and single linkage; ``"auto"`` is then average.
    refine : int, default=0
        For ``linkage="information"`` alone: the largest number of passes of Bregman k-means, which move rows to better
        clusters after the tree has been cut. Five passes are mostly enough. The tree stays as it is, and ``labels_``
        may differ from its cut.
    symmetrize : {"mean", "min", "max"}, default="mean"
        How D(p ‖ q) and D(q ‖ p) of an asymmetric divergence are combined into one distance.
    assign : {"member", "center"}, default="member"
        What `transform` and `predict` take for the distance of a row x to a cluster. ``"member"`` is the distance to
        the nearest fitted row in the cluster. ``"center"`` is the divergence D(x ‖ center) from the center of the
        cluster; no fitted rows are then kept.
    center : {"mean", "geometric", "js"}, default="mean"
        How the center of a cluster is computed from its rows: by `barycenter`, with this as its ``metric``.
    handle_empty : {"error", "label"}, default="error"
        What `predict` does with a row that belongs to no cluster, because it sums to zero or is infinitely far from
        every cluster. ``"error"`` raises an error. With ``"label"`` the row gets the label -1, and `transform` returns
        NaN for a row that sums to zero. `fit` refuses such rows in either case; with a pseudocount no row sums to zero.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X: 0.5 or 1 for counts,
        far less for probabilities.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`; the result does not depend on it. No other parameter has
        an effect after the fit.
    memory : str or joblib.Memory, optional
        A cache for the tree, or the folder of one: fits that differ in the number of clusters alone build one tree. The
        tree of a `Divergence` of your own is not cached, because its function may change unseen.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        The cluster of each fitted row, from 0 on. With ``refine`` it may differ from the cut of the tree.
    n_clusters_ : int
        The number of clusters.
    n_leaves_ : int
        The number of fitted rows.
    children_ : ndarray of shape (n_samples - 1, 2)
        The two nodes that each step merges: rows, or from n_samples on, node n_samples + k is the result of step k.
    distances_ : ndarray of shape (n_samples - 1,)
        The distance between the clusters that each step merges. With ``linkage="information"`` or a connectivity it may
        be lower than in the step before; k clusters are always those that are left after n_samples - k steps.
    linkage_matrix_ : ndarray of shape (n_samples - 1, 4)
        The tree in the format of `scipy.cluster.hierarchy`, for instance for its ``dendrogram``.
    linkage_ : str
        The linkage that was used. It tells which one ``linkage="auto"`` has chosen.
    cluster_centers_ : ndarray of shape (n_clusters, n_bins)
        The center of each cluster, by default the weighted mean of its rows; none if ``metric="precomputed"``.
    node_pvalues_ : ndarray of shape (n_samples - 1,)
        With `Significance` alone: the p-value of each merge that was tested, else NaN. It is about half of the level of
        the test for a clear split, because the test then ends.
    information_curve_ : tuple of ndarrays of shape (n_samples,)
        With ``linkage="information"`` alone: the numbers of clusters 1, 2, …, n_samples, and the share of the mutual
        information between rows and bins that so many clusters of the tree retain, before any ``refine``.
    n_features_in_ : int
        The number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the columns, if X has names that are all strings.

    See Also
    --------
    MiniBatchDivergenceClustering : Clusters more rows than a tree can hold.
    sklearn.cluster.AgglomerativeClustering : Clusters Euclidean data; it builds the same trees on a precomputed matrix.

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

    *Linkages*. The distance between two clusters is, with ``"average"``, the mean of the distances between a row of one
    and a row of the other; with ``"complete"`` the largest of these; and with ``"single"`` the smallest. With
    ``"ward"`` its square is twice the increase of the sum of squared distances from the means of the clusters, where
    each distance is a Euclidean distance in a Hilbert space (Murtagh and Legendre call it "Ward2"). It is refused for
    other divergences; a precomputed matrix has to hold Euclidean distances, which is not checked. Under a connectivity
    every linkage takes distances along its edges only: other rows of a cluster may be farther apart than a threshold.

    *Linkage by information*. To merge clusters of the weights v and w and the means p and q into one with the mean c
    loses v KL(p ‖ c) + w KL(q ‖ c) of the mutual information between rows and bins. The weights are those of the rows,
    as shares of their sum. ``distances_`` holds the loss of each merge, in nats unless ``base`` is given, and all
    merges together lose the whole information. No matrix of distances is needed.

    *Refinement*. A merge is never taken back, so the clusters of a cut are not the best ones of their number. Each pass
    of ``refine`` assigns every row to the center with the lowest KL(row ‖ center), and then replaces the centers by the
    weighted means of their rows. No pass loses information or empties a cluster. The passes end when no row moves.

    *Scores*. A grid search compares parameters by `score`, the mean silhouette, but cannot choose ``metric`` by it; if
    true labels are known, pass a scorer of labels, such as ``sklearn.metrics.make_scorer(adjusted_rand_score)``.

    *Memory*. `fit` holds the n (n - 1) / 2 distances as float64 (for linkage by information none), and twice their
    memory while SciPy builds the tree: 16 GiB for 46,000 rows; for single linkage once, with weights three times. From
    8,192 rows on (dense, or CSR of up to 1,024 bins) it holds none for ward, or of dense rows single, linkage by
    ``"js_distance"`` or ``"hellinger"`` and average linkage by ``"js_divergence"``; then ties may be merged otherwise.

    *Progress*. ``joblib.parallel_config(verbose=1)`` prints how far a fit is; scikit-learn's callbacks (1.9) draw bars.

    *Size of a pickle*. A fitted model keeps the normalised rows if ``assign="member"``, and never the matrix. Its
    pickle takes 64 bytes for each row (80 with linkage by information, 72 in all for ``"precomputed"``); 8 bytes, or 4
    in single precision, for each entry of the centers; and for ``"member"`` as much for each entry of dense rows, or of
    sparse rows 12 (8) bytes for each stored entry and 8 for each row.

    References
    ----------
    J. H. Ward, "Hierarchical Grouping to Optimize an Objective Function", Journal of the American Statistical
    Association 58 (1963), 236–244.
    F. Murtagh and P. Legendre, "Ward's Hierarchical Agglomerative Clustering Method: Which Algorithms Implement Ward's
    Criterion?", Journal of Classification 31 (2014), 274–295.
    P. J. Rousseeuw, "Silhouettes: A Graphical Aid to the Interpretation and Validation of Cluster Analysis", Journal of
    Computational and Applied Mathematics 20 (1987), 53–65, for `score`.
    A. Banerjee, S. Merugu, I. S. Dhillon and J. Ghosh, "Clustering with Bregman Divergences", Journal of Machine
    Learning Research 6 (2005), 1705–1749, for the mean as the center.
    N. Slonim and N. Tishby, "Agglomerative Information Bottleneck", Advances in Neural Information Processing Systems
    12 (1999), 617–623, for linkage by information.
    M. Telgarsky and S. Dasgupta, "Agglomerative Bregman Clustering", International Conference on Machine Learning
    (2012), for the same as Ward's criterion.
    I. S. Dhillon, S. Mallela and R. Kumar, "A Divisive Information-Theoretic Feature Clustering Algorithm for Text
    Classification", Journal of Machine Learning Research 3 (2003), 1265–1287, for ``refine``.

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

    labels_: Labels
    n_clusters_: int
    n_leaves_: int
    children_: NDArray[np.int64]
    distances_: FloatArray
    linkage_matrix_: FloatArray
    linkage_: Linkage
    cluster_centers_: FloatArray
    node_pvalues_: FloatArray
    information_curve_: tuple[NDArray[np.intp], FloatArray]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    _n_features_out: int
    _column_labels: ColumnLabels
    _row_labels: NDArray[Any] | None
    _dtype: np.dtype[Any]
    _predictor: Predictor
    _between: Measure
    _base: float | None
    _distance_threshold: float | None

    _parameter_constraints: ClassVar[dict[str, list[Any] | str]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), Significance, StrOptions({"significant"}), None],
        "metric": "no_validation",  # by `resolve`
        "linkage": [StrOptions({"auto", *LINKAGES})],
        "distance_threshold": [Interval(Real, 0, None, closed="left"), None],
        "refine": [Interval(Integral, 0, None, closed="left")],
        "symmetrize": [StrOptions(set(SYMMETRIZATIONS))],
        "connectivity": ["array-like", "sparse matrix", callable, None],
        "assign": [StrOptions(set(get_args(Assign)))],
        "center": [StrOptions(set(CENTERS))],
        "handle_empty": [StrOptions(set(get_args(HandleEmpty)))],
        "base": [Interval(Real, 1, None, closed="neither"), None],
        "pseudocount": [Interval(Real, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "memory": [str, HasMethods("cache"), None],
    }

    def __init__(
        self,
        n_clusters: int | Significance | Literal["significant"] | None = 2,
        *,
        metric: MetricName | Literal["precomputed"] | Divergence = "js_distance",
        linkage: Linkage | Literal["auto"] = "auto",
        distance_threshold: float | None = None,
        connectivity: Any = None,
        refine: int = 0,
        symmetrize: Symmetrize = "mean",
        assign: Assign = "member",
        center: Center = "mean",
        handle_empty: HandleEmpty = "error",
        base: float | None = None,
        pseudocount: float = 0.0,
        n_jobs: int | None = None,
        memory: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.metric = metric
        self.linkage = linkage
        self.distance_threshold = distance_threshold
        self.connectivity = connectivity
        self.refine = refine
        self.symmetrize = symmetrize
        self.assign = assign
        self.center = center
        self.handle_empty = handle_empty
        self.base = base
        self.pseudocount = pseudocount
        self.n_jobs = n_jobs
        self.memory = memory

    if TYPE_CHECKING:  # They come from scikit-learn's mixins, which have no types.

        def fit_predict(
            self, X: MatrixLike, y: None = None, *, sample_weight: WeightsLike = None, blocks: BlocksLike | None = None
        ) -> Labels:
            """Return the labels of the rows of X."""

        def fit_transform(
            self, X: MatrixLike, y: None = None, *, sample_weight: WeightsLike = None, blocks: BlocksLike | None = None
        ) -> FloatArray:
            """Return the distances of the rows of X to their clusters."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: MatrixLike,
        y: None = None,  # noqa: ARG002
        sample_weight: WeightsLike = None,
        *,
        blocks: BlocksLike | None = None,
    ) -> Self:
        """Build the tree of the rows of X, and cut it into clusters.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
            Probabilities or counts; a square matrix of distances if ``metric="precomputed"``.
        y : None
            Ignored.
        sample_weight : "counts" or array-like of shape (n_samples,), optional
            A weight for each row, from 1e-100 to 1e100: a row of weight 3 counts as three equal rows. ``"counts"``
            takes the totals of the rows, which must then be counts. By default all weights are equal. Weights have an
            effect on the centers, and on the linkages information, average and ward.
        blocks : array-like of shape (n_samples, n_blocks, n_bins) or sequence of matrices, optional
            For a `Significance` alone: the blocks that each row of X is the sum of, such as the pages of a book, days
            or images. The sequence has a matrix of shape (n_blocks, n_bins), dense or CSR, for each row. The test then
            exchanges whole blocks between rows in place of single observations; see the notes of `Significance`.
            `skdiv.preprocessing.sum_blocks` makes X and the blocks from a table with a row for each block.

        Returns
        -------
        DivergenceClustering
            The fitted estimator; if the fit fails, it is left as it was.

        Raises
        ------
        ValueError
            If a row is not a distribution, as in `pairwise_divergences`; if a distance is infinite, or a precomputed
            matrix is not one of distances; if the parameters do not fit together; or if the blocks do not sum to the
            rows of X, are too few for any test, or are passed without a `Significance`.
        TypeError
            If X or ``sample_weight`` is a masked array or holds anything but real numbers.
        MemoryError
            If the distances do not fit into the memory that is left. It is raised before anything is computed.
        """
        given = self._validate(X, sample_weight, blocks)
        metadata = {"sample_weight": sample_weight, "blocks": blocks}
        with reporting_to_callbacks(self, most_stages(self), X=X, metadata=metadata):
            store_fitted(self, _FITTED, fitted_attributes(self, given))
        return self

    def predict(self, X: MatrixLike) -> Labels:
        """Return the nearest cluster of each row of X, by the distances that `transform` returns.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts; distances of shape (n_new, n_fitted) if ``metric="precomputed"``.

        Returns
        -------
        ndarray of shape (n_new,)
            The labels of the clusters. With ``assign="member"`` the fitted rows get their ``labels_`` again, unless
            equal rows are in different clusters. With ``handle_empty="label"`` a row that belongs to no cluster gets
            the label -1.

        Raises
        ------
        ValueError, TypeError
            If a row is not a distribution, or is infinitely far from every cluster, unless ``handle_empty="label"``; or
            if the columns of a frame differ in name or order from those of the fitted one.
        """
        validated = self._validated(X)
        return predicted(self._predictor, validated, names_of(X), self.n_jobs)

    def transform(self, X: MatrixLike) -> FloatArray:
        """Return the distance of each row of X to each cluster.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts; distances of shape (n_new, n_fitted) if ``metric="precomputed"``.

        Returns
        -------
        ndarray of shape (n_new, n_clusters)
            The distances to the nearest fitted members, or with ``assign="center"`` the divergences D(x ‖ center), in
            nats unless ``base`` is given. With ``handle_empty="label"`` those of a row without mass are NaN.

        Raises
        ------
        ValueError, TypeError
            If a row is no distribution, unless it has no mass and ``handle_empty="label"``; or if names of bins differ.
        """
        validated = self._validated(X)
        return transformed(self._predictor, validated, self.n_clusters_, names_of(X), self.n_jobs)

    def cut(self, n_clusters: int | None = None, *, distance_threshold: float | None = None) -> Labels:
        """Return the clusters of another cut of the fitted tree; the estimator stays as it is.

        Parameters
        ----------
        n_clusters : int, optional
            The number of clusters, from 1 to the number of fitted rows.
        distance_threshold : float, optional
            Clusters at this distance or farther apart are not merged. Exactly one of the parameters is needed.

        Returns
        -------
        ndarray of shape (n_samples,)
            The cluster of each fitted row. They are the ``labels_`` of a fit with this parameter and ``refine=0``.

        Raises
        ------
        ValueError
            If both parameters are passed, or neither, or one is out of range.
        TypeError
            If ``n_clusters`` is not an integer or the threshold is not a number.
        """
        check_is_fitted(self)
        rule = checked_rule(n_clusters, distance_threshold, self.n_leaves_)
        return rule(self.linkage_matrix_).labels

    def score(self, X: MatrixLike, y: Any = None) -> float:  # noqa: ARG002
        """Return the mean silhouette of the rows of X under the labels that `predict` gives them.

        The silhouette of a row is (b - a) / max(a, b), where a is its mean distance to the other rows of its cluster,
        and b the least mean distance to the rows of another cluster (Rousseeuw 1987). It does not compare values of
        ``metric``, ``symmetrize`` or ``pseudocount``: each has other distances, and squares of them score higher.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts, fitted or new. If ``metric="precomputed"``, the square matrix of the distances
            that was fitted. A grid search then scores the rows that it fits: ``cv=[(rows, rows)]`` with
            ``rows = np.arange(n)``.
        y : object
            Ignored.

        Returns
        -------
        float
            From -1, where rows are nearer to another cluster, to 1, where clusters are tight and far apart, by the
            metric of the fit, symmetrised as it was there. It is 0 where there is nothing to compare: if all rows
            have one label, or each row has its own.

        Raises
        ------
        ValueError, TypeError
            If a row is not a distribution, two rows are infinitely far apart, or the columns of a frame differ from
            those of the fitted one; or if ``metric="precomputed"`` and X is not square and symmetric.
        MemoryError
            If the n_new² distances do not fit into the memory that is left.
        """
        validated, names = self._validated(X), names_of(X)
        labels = predicted(self._predictor, validated, names, self.n_jobs)
        if self._predictor.takes_distances:
            return silhouette(square_of_fitted(validated, names), labels)
        return silhouette(distances_between(self._predictor, self._between, validated, names, self.n_jobs), labels)

    # --- Parameters and input ---

    def _validated(self, X: MatrixLike) -> Any:
        """Return new rows as a float array or CSR matrix; their entries are checked when they are normalised."""
        check_is_fitted(self)
        return validated_input(self, X, reset=False, distances=self._predictor.takes_distances)

    def _validate(self, X: MatrixLike, sample_weight: WeightsLike, blocks: BlocksLike | None) -> Given:
        """Return the checked input of `fit`, with the entries of X unchecked; the estimator is left as it is."""
        check_combination(vars(self))
        check_fit_arguments(vars(self), sample_weight, blocks)
        validated, learned = learned_input(self, X, distances=is_precomputed(self.metric), min_samples=2)
        n_samples = validated.shape[0]
        if isinstance(self.n_clusters, Integral) and int(self.n_clusters) > n_samples:
            raise ValueError(f"n_clusters = {self.n_clusters} is more than the {n_samples} rows of X.")
        divergence, names = None if is_precomputed(self.metric) else resolve(self.metric), names_of(X)
        return Given(
            X=validated,
            names=names,
            masses=masses_of(sample_weight, validated, names),
            blocks=None if blocks is None else checked_blocks(blocks, validated, names),
            linkage=resolved_linkage(self.linkage, divergence, on_graph=self.connectivity is not None),
            learned=learned,
        )

    # --- What scikit-learn asks for ---

    def _repr_html_inner(self) -> str:
        """Return scikit-learn's diagram of the estimator, and what a fit has found."""
        return str(super()._repr_html_inner()) + html_report(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Return what a notebook shows, where the diagram is followed by what a fit has found."""
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] = self._repr_html_inner()
        return bundle

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags, which say what input the next fit takes, given the parameters."""
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = is_precomputed(self.metric)
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = not is_precomputed(self.metric)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


_FITTED = frozenset(DivergenceClustering.__annotations__)  # the fitted attributes; parameters are not annotated
