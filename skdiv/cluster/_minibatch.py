"""Clustering of as many distributions as can be read, by way of a few weighted summaries."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from skdiv._input.checks import MatrixLike
from skdiv._input.estimators import learned_input, store_fitted, validated_input
from skdiv._input.names import ColumnLabels, names_of, refuse_other_columns
from skdiv._input.weights import WeightsLike, masses_of
from skdiv._utils.progress import stage
from skdiv._utils.sklearn import Interval, StrOptions, fit_context
from skdiv._utils.typing import FloatArray, Labels
from skdiv.barycenters import memory_for_centers
from skdiv.cluster._collection import Collection
from skdiv.cluster._combinations import check_numbers
from skdiv.cluster._prediction import FromRows, HandleEmpty, predicted_by_parts, transformed
from skdiv.cluster._reduction import (
    Clusters,
    assigned,
    best_of_sizes,
    clusters_of_summaries,
    fitted_attributes,
    total_information,
)
from skdiv.cluster._scoring import simplified_silhouette
from skdiv.cluster._summaries import Summaries, summarised
from skdiv.significance import Significance

_PER_CLUSTER = 10  # the least number of summaries for each cluster
_LEAST = 100  # the least number of summaries
_DOUBLINGS = 2  # of the number of summaries in `fit`, at most
_ROWS_OF_SUMMARY = 8  # `fit` does not double to fewer rows than these for each summary: the tree takes the longest then


class MiniBatchDivergenceClustering(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, BaseEstimator):
    """Clustering of a million distributions or more, or of a stream of them.

    It works in three steps. First, one pass over the rows puts near rows together and replaces them by their weighted
    mean distributions, the *summaries*, of which there are a few hundred or thousand. Then the summaries are merged
    into clusters by linkage by information, as in `DivergenceClustering`. Last, a few passes of Bregman k-means over
    the rows improve the clusters. How much of the mutual information between rows and bins each step loses or regains
    is known exactly. Time grows in proportion to the number of rows.

    Parameters
    ----------
    n_clusters : int, default=2
        The number of clusters. A `Significance` is refused, because its test is valid for rows and not for summaries.
    n_summaries : int, optional
        The largest number of summaries, at least ``n_clusters``. By default `fit` takes 10 for each cluster and at
        least 100, and then tries twice and four times as many, until they retain less than 0.1 % more of the
        information or would have fewer than 8 rows each. `partial_fit` takes 20 for each cluster and at least 200.
    linkage : {"information"}, default="information"
        How summaries are merged. For this linkage the loss of information of the rows is known exactly.
    refine : int, default=5
        The largest number of passes of Bregman k-means. They end when no row changes its cluster. In `partial_fit` and
        `merge` the passes are over the summaries, because the earlier rows are not kept.
    handle_empty : {"error", "label"}, default="error"
        What `predict` does with a row that belongs to no cluster, because it sums to zero or is infinitely far from
        every cluster. ``"error"`` raises an error. With ``"label"`` the row gets the label -1, and `transform` returns
        NaN for a row that sums to zero. A fit refuses rows that sum to zero in either case.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    random_state : int, RandomState instance or None, default=None
        Determines the rows from which the summaries start. Pass an int for the same result each time.
    n_jobs : int, optional
        Number of joblib workers, as in `pairwise_divergences`. The result does not depend on it.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        What `predict` returns for the rows of the last `fit` or `partial_fit`. There are none after `merge`.
    n_clusters_ : int
        The number of clusters.
    cluster_centers_ : ndarray of shape (n_clusters, n_bins)
        The weighted mean distribution of each cluster, before each row is assigned to the nearest once more.
    summaries_ : {ndarray, sparse matrix} of shape (n_summaries, n_bins)
        The mean distributions that summarise all rows so far, in double precision; in CSR for very sparse rows.
    summary_weights_ : ndarray of shape (n_summaries,)
        The weight of each summary: the sum of the weights of its rows.
    information_ : float
        The mutual information between rows and bins: the weighted mean of KL(row ‖ mean of all rows), in nats unless
        ``base`` is given.
    information_lost_compressing_ : float
        How much of it the summaries lose: the weighted mean of KL(row ‖ its summary).
    information_lost_merging_ : float
        How much was lost in addition when the summaries were merged into clusters.
    information_regained_ : float
        How much the passes of k-means and the last assignment have regained.
    information_retained_ : float
        The share of ``information_`` that is not lost, as KL(row ‖ center), or after `partial_fit` by the summaries.
    n_features_in_ : int
        The number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the columns, if X has names that are all strings.

    See Also
    --------
    DivergenceClustering : Builds the tree of all rows, up to some hundred thousand of them.
    skdiv.embedding.DivergenceEmbedding : Makes features by which Euclidean methods work on Jensen-Shannon distances.

    Notes
    -----
    *Account of the information*. By the chain rule, the summaries retain the information between them and the bins, and
    lose the mean of KL(row ‖ its summary). Each merge loses its cost, and passes of k-means never raise the loss.

    *Summaries*. As many rows as summaries are drawn at random by their weights. A row x is then summarised with the
    drawn row s that has the lowest KL(x ‖ (s + mean of all rows) / 2), which is finite whatever the zeros.

    *Batches*. `partial_fit` summarises a batch in itself, adds the new summaries to the earlier ones, and merges all of
    them down to ``n_summaries``. A stream that is sorted by clusters gives as good results as a shuffled one. Each call
    builds a tree of up to twice as many summaries, so batches of many thousand rows take the least time.

    *Memory*. It is that of X, a few numbers for each row, the summaries, and some MiB for each worker.

    References
    ----------
    A. Banerjee, S. Merugu, I. S. Dhillon and J. Ghosh, "Clustering with Bregman Divergences", Journal of Machine
    Learning Research 6 (2005), 1705–1749.
    I. S. Dhillon, S. Mallela and R. Kumar, "A Divisive Information-Theoretic Feature Clustering Algorithm for Text
    Classification", Journal of Machine Learning Research 3 (2003), 1265–1287.
    N. Slonim and N. Tishby, "Agglomerative Information Bottleneck", Advances in Neural Information Processing Systems
    12 (1999), 617–623.
    S. Guha, A. Meyerson, N. Mishra, R. Motwani and L. O'Callaghan, "Clustering Data Streams: Theory and Practice", IEEE
    Transactions on Knowledge and Data Engineering 15(3) (2003), 515–528, for merging and reducing.
    E. R. Hruschka, L. N. de Castro and R. J. G. B. Campello, "Evolutionary algorithms for clustering gene-expression
    data", IEEE International Conference on Data Mining (2004), 403–406, for `score`.
    P. S. Efraimidis and P. G. Spirakis, "Weighted Random Sampling with a Reservoir", Information Processing Letters
    97(5) (2006), 181–185.

    Examples
    --------
    >>> import numpy as np
    >>> from skdiv import MiniBatchDivergenceClustering
    >>> rng = np.random.default_rng(0)
    >>> X = np.vstack([rng.multinomial(50, p, size=5000) for p in ([0.7, 0.2, 0.1], [0.1, 0.2, 0.7])])
    >>> clustering = MiniBatchDivergenceClustering(n_clusters=2, random_state=0).fit(X)
    >>> np.bincount(clustering.labels_)
    array([5000, 5000])
    >>> round(clustering.information_retained_, 2)
    0.92
    >>> (clustering.predict([[8, 1, 1], [0, 2, 8]]) == clustering.labels_[[0, -1]]).tolist()
    [True, True]
    """

    labels_: Labels
    n_clusters_: int
    cluster_centers_: FloatArray
    summaries_: Any
    summary_weights_: FloatArray
    information_: float
    information_lost_compressing_: float
    information_lost_merging_: float
    information_regained_: float
    information_retained_: float
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    _n_features_out: int
    _column_labels: ColumnLabels
    _row_labels: NDArray[Any] | None
    _dtype: np.dtype[Any]
    _predictor: FromRows
    _summaries: Summaries
    _pseudocount: float
    _random_state: RandomState

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), Significance, StrOptions({"significant"})],
        "n_summaries": [Interval(Integral, 1, None, closed="left"), None],
        "linkage": [StrOptions({"information"})],
        "refine": [Interval(Integral, 0, None, closed="left")],
        "handle_empty": [StrOptions(set(get_args(HandleEmpty)))],
        "base": [Interval(Real, 1, None, closed="neither"), None],
        "pseudocount": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_clusters: int = 2,
        *,
        n_summaries: int | None = None,
        linkage: Literal["information"] = "information",
        refine: int = 5,
        handle_empty: HandleEmpty = "error",
        base: float | None = None,
        pseudocount: float = 0.0,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_summaries = n_summaries
        self.linkage = linkage
        self.refine = refine
        self.handle_empty = handle_empty
        self.base = base
        self.pseudocount = pseudocount
        self.random_state = random_state
        self.n_jobs = n_jobs

    if TYPE_CHECKING:  # They come from scikit-learn's mixins, which have no types.

        def fit_predict(self, X: MatrixLike, y: None = None, *, sample_weight: WeightsLike = None) -> Labels:
            """Return the labels of the rows of X."""

        def fit_transform(self, X: MatrixLike, y: None = None, *, sample_weight: WeightsLike = None) -> FloatArray:
            """Return the divergences of the rows of X from the centers."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: None = None, sample_weight: WeightsLike = None) -> Self:  # noqa: ARG002
        """Summarise the rows of X, merge the summaries into clusters, and refine these by passes over the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
            Probabilities or counts.
        y : None
            Ignored.
        sample_weight : "counts" or array-like of shape (n_samples,), optional
            A weight for each row, from 1e-100 to 1e100, which counts as so many equal rows. ``"counts"`` takes the
            totals of the rows, which must then be counts.

        Returns
        -------
        MiniBatchDivergenceClustering
            The fitted estimator; if the fit fails, it is left as it was.

        Raises
        ------
        ValueError
            If a row is not a distribution, there are fewer rows or summaries than clusters, or ``n_clusters`` is a
            `Significance`.
        TypeError
            If X or ``sample_weight`` is masked or holds text, dates or objects; an array of objects may hold numbers.
        MemoryError
            If the summaries or the centers do not fit into the memory that is left.
        """
        check_numbers(self.n_clusters, self.n_summaries)
        validated, learned = learned_input(self, X, min_samples=2)
        rows = self._collection(X, validated, sample_weight)
        self._check_enough(len(rows), "rows of X")
        random_state = RandomState(check_random_state(self.random_state).randint(2**31 - 1))
        best = best_of_sizes(rows, self._sizes(len(rows)), int(self.n_clusters), int(self.refine), random_state)
        best = assigned(best, rows, self._of_clusters(best, validated.dtype)["_predictor"])
        state = {"_random_state": random_state, "_pseudocount": float(self.pseudocount), "labels_": best.labels}
        learned["_row_labels"] = names_of(X).row_labels
        store_fitted(self, _FITTED, learned, self._of_clusters(best, validated.dtype), state)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: MatrixLike, y: None = None, sample_weight: WeightsLike = None) -> Self:  # noqa: ARG002
        """Add a batch of rows to the summaries of all earlier rows, and cluster the summaries anew.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
            Probabilities or counts, of the same columns as before. The first batch has at least ``n_clusters`` rows.
        y : None
            Ignored.
        sample_weight : "counts" or array-like of shape (n_samples,), optional
            A weight for each row, as in `fit`, in the same units for all batches.

        Returns
        -------
        MiniBatchDivergenceClustering
            The fitted estimator, whose ``labels_`` are those of the rows of X; if the fit fails, it is left as it was.

        Raises
        ------
        ValueError
            If a row is not a distribution, there are fewer rows or summaries than clusters, ``n_clusters`` is a
            `Significance`, the columns differ from those of earlier batches, or so does ``pseudocount``.
        TypeError
            If X or ``sample_weight`` is masked or holds text, dates or objects; an array of objects may hold numbers.
        MemoryError
            If the summaries or the centers do not fit into the memory that is left.
        """
        check_numbers(self.n_clusters, self.n_summaries)
        known, learned = self._known(), dict[str, Any]()
        if known is None:
            validated, learned = learned_input(self, X)
            random_state = RandomState(check_random_state(self.random_state).randint(2**31 - 1))
        else:
            validated, random_state = validated_input(self, X, reset=False), deepcopy(self._random_state)
        rows, most = self._collection(X, validated, sample_weight), self._most_summaries(known)
        rows, mean = rows.checked()
        with stage("summaries"):
            batch, _ = summarised(rows, mean, total_information(rows, mean), most, random_state)
        union = batch if known is None else known.joined(batch)
        self._check_enough(len(union), "rows so far")
        result = self._reduced(union, most)
        fitted = self._of_clusters(result, validated.dtype)
        fitted["labels_"] = predicted_by_parts(fitted["_predictor"], validated, rows.names, self.n_jobs)
        state = {"_random_state": random_state, "_pseudocount": float(self.pseudocount)}
        learned["_row_labels"] = names_of(X).row_labels
        store_fitted(self, frozenset(), learned, fitted, state)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def merge(self, other: MiniBatchDivergenceClustering) -> Self:
        """Add the summaries of another fitted estimator, and cluster all summaries anew.

        So the parts of a collection can be fitted on several machines.

        Parameters
        ----------
        other : MiniBatchDivergenceClustering
            An estimator that has been fitted to rows of the same columns, with the same ``pseudocount``.

        Returns
        -------
        MiniBatchDivergenceClustering
            This estimator. It has no ``labels_``, because no rows are kept. ``other`` stays as it is.

        Raises
        ------
        ValueError
            If the columns of the two or their pseudocounts differ.
        TypeError
            If ``other`` is another kind of estimator.
        """
        if not isinstance(other, MiniBatchDivergenceClustering):
            raise TypeError(f"other must be a MiniBatchDivergenceClustering, but it is {type(other).__name__}.")
        for estimator in (self, other):
            check_is_fitted(estimator)
        check_numbers(self.n_clusters, self.n_summaries)
        self._check_same(other)
        most, union = self._most_summaries(self._known()), self._summaries.joined(other._summaries)
        self._check_enough(len(union), "summaries of both")
        result = self._reduced(union, max(most, len(other._summaries)) if self.n_summaries is None else most)
        store_fitted(self, {"labels_", "_row_labels"}, self._of_clusters(result, self._dtype))
        return self

    def predict(self, X: MatrixLike) -> Labels:
        """Return the cluster of each row of X: that of the nearest center, by the divergence of `transform`.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts.

        Returns
        -------
        ndarray of shape (n_new,)
            The labels of the clusters. With ``handle_empty="label"`` a row that belongs to no cluster gets -1.

        Raises
        ------
        ValueError, TypeError
            If a row is not a distribution, or is infinitely far from every cluster, unless ``handle_empty="label"``; or
            if the columns of a frame differ in name or order from those of the fitted one.
        """
        check_is_fitted(self)
        return predicted_by_parts(self._predictor, validated_input(self, X, reset=False), names_of(X), self.n_jobs)

    def transform(self, X: MatrixLike) -> FloatArray:
        """Return the Kullback-Leibler divergence KL(row ‖ center) of each row of X from the center of each cluster.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts.

        Returns
        -------
        ndarray of shape (n_new, n_clusters)
            The divergences, in nats unless ``base`` is given; infinite where a row has a bin that no row of a cluster
            has. With ``handle_empty="label"`` those of a row without mass are NaN.

        Raises
        ------
        ValueError, TypeError
            If a row is not a distribution, unless it has no mass and ``handle_empty="label"``; or if the columns of a
            frame differ in name or order from those of the fitted one.
        """
        check_is_fitted(self)
        validated = validated_input(self, X, reset=False)
        return transformed(self._predictor, validated, self.n_clusters_, names_of(X), self.n_jobs)

    def score(self, X: MatrixLike, y: Any = None) -> float:  # noqa: ARG002
        """Return the mean simplified silhouette of the rows of X, by which a grid search compares parameters.

        It is 1 - a / b for a row whose divergence from the nearest center is a, and from the second nearest b (Hruschka
        et al. 2004). It does not compare values of ``pseudocount``, nor other estimators: each has other distances.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts, fitted or new.
        y : object
            Ignored.

        Returns
        -------
        float
            From 0, where rows lie halfway between centers or there is one cluster, to 1, where they are at centers. A
            row that belongs to no cluster, which ``handle_empty="label"`` allows, counts as 0.

        Raises
        ------
        ValueError, TypeError
            As `predict` does.
        """
        check_is_fitted(self)
        return simplified_silhouette(self._predictor, validated_input(self, X, reset=False), names_of(X), self.n_jobs)

    # --- Parameters and input ---

    def _check_enough(self, n: int, what: str) -> None:
        """Refuse more clusters than there are things to cluster."""
        if self.n_clusters > n:
            raise ValueError(f"n_clusters = {self.n_clusters} is more than the {n} {what}.")

    def _check_same(self, other: MiniBatchDivergenceClustering) -> None:
        """Refuse to merge estimators that were fitted to other columns, or with another pseudocount."""
        if self.n_features_in_ != other.n_features_in_:
            raise ValueError(
                f"other was fitted to {other.n_features_in_} columns, and this estimator to {self.n_features_in_}; fit "
                "both to the same."
            )
        owners = "the X of other", "that of this estimator"
        refuse_other_columns(other._column_labels, self._column_labels, owners, "; fit one of them again")
        if other._pseudocount != self._pseudocount:
            raise ValueError(
                f"other was fitted with pseudocount = {other._pseudocount}, and this estimator with "
                f"{self._pseudocount}; fit both with the same."
            )

    def _known(self) -> Summaries | None:
        """Return the summaries of the rows so far, or None before the first; refuse another pseudocount than theirs."""
        summaries: Summaries | None = vars(self).get("_summaries")
        if summaries is not None and self._pseudocount != self.pseudocount:
            raise ValueError(
                f"pseudocount = {self.pseudocount}, but the rows so far were fitted with {self._pseudocount}. Set it "
                "back, or call fit to start anew."
            )
        return summaries

    def _collection(self, X: MatrixLike, validated: Any, sample_weight: WeightsLike) -> Collection:
        """Return the rows and their masses; their entries are checked when they are normalised."""
        with memory_for_centers(int(self.n_clusters), validated.shape[1], validated.dtype):
            pass  # This refuses too many clusters before the rows are read.
        masses = masses_of(sample_weight, validated, names_of(X))
        masses = np.ones(validated.shape[0]) if masses is None else masses
        return Collection(validated, masses, float(self.pseudocount), names_of(X), self.n_jobs)

    def _most_summaries(self, known: Summaries | None) -> int:
        """Return how many summaries `partial_fit` may keep."""
        if self.n_summaries is not None:
            return int(self.n_summaries)
        return max(2 * _LEAST, 2 * _PER_CLUSTER * int(self.n_clusters), 0 if known is None else len(known))

    def _sizes(self, n: int) -> Iterator[int]:
        """Yield the numbers of summaries that `fit` tries for n rows, as long as more of them are worth while."""
        if self.n_summaries is not None:
            yield int(self.n_summaries)
            return
        size = max(_LEAST, _PER_CLUSTER * int(self.n_clusters))
        yield size
        for _ in range(_DOUBLINGS):
            size *= 2
            if size * _ROWS_OF_SUMMARY > n:
                return
            yield size

    def _reduced(self, union: Summaries, most: int) -> Clusters:
        """Merge summaries down to so many, and these into clusters, which are refined."""
        return clusters_of_summaries(union, most, int(self.n_clusters), int(self.refine), self.n_jobs)

    def _of_clusters(self, result: Clusters, dtype: Any) -> dict[str, Any]:
        """Return the fitted attributes that describe clusters and summaries, by their names."""
        return fitted_attributes(
            result, dtype, base=self.base, pseudocount=float(self.pseudocount), handle_empty=self.handle_empty
        )

    # --- What scikit-learn asks for ---

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags, which say what input the estimator takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


_FITTED = frozenset(MiniBatchDivergenceClustering.__annotations__)  # parameters are not annotated
