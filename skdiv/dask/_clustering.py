"""Clustering of Dask collections, and what fitted estimators make of their rows."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skdiv import cluster
from skdiv._input.estimators import store_fitted
from skdiv._utils.sklearn import fit_context
from skdiv.cluster._blocks import clustered, naming_block
from skdiv.cluster._combinations import check_numbers
from skdiv.dask._graph import Blocks, Graph, da, delayed, is_dask_collection


class MiniBatchDivergenceClustering(cluster.MiniBatchDivergenceClustering):
    """Clustering of the rows of a Dask collection, by way of weighted summaries.

    It is `skdiv.MiniBatchDivergenceClustering`, whose methods take Dask collections as well. `fit` summarises each
    block in a task of its own, merges the summaries in a tree, and improves the clusters by passes over the blocks, of
    which only sums for each cluster are passed on. All of it is one graph, which is computed once.

    Parameters
    ----------
    n_clusters : int, default=2
        The number of clusters.
    n_summaries : int, optional
        The largest number of summaries of a block, and of all blocks. By default 10 for each cluster, and at least 100.
    linkage : {"information"}, default="information"
        How summaries are merged.
    refine : int, default=5
        The largest number of passes of Bregman k-means over the blocks. Passes after which nothing changes are skipped.
    handle_empty, base, pseudocount, random_state, n_jobs : optional
        They are those of `skdiv.MiniBatchDivergenceClustering`. ``n_jobs`` is the number of joblib workers within each
        task.

    Attributes
    ----------
    labels_ : dask.array.Array of shape (n_samples,)
        The cluster of each row, in the blocks of X, as `predict` gives it. It is lazy: computing it opens the blocks
        once more.
    n_clusters_, cluster_centers_, summaries_, summary_weights_ : int and arrays in memory
        They are those of `skdiv.MiniBatchDivergenceClustering`, and so are all other attributes.

    See Also
    --------
    skdiv.MiniBatchDivergenceClustering : The same for rows in memory, or for batches one after another.
    predict : The clusters of new rows by any fitted estimator.

    Notes
    -----
    The result depends on the blocks, but not on who computes them: it is the same to the bit on a cluster, in threads,
    and in a plain loop. Blocks of some ten thousand rows or more are best, because each costs the tree of up to twice
    as many summaries. A row is assigned to the nearest center, and to the first of several that are equally near.

    With ``refine=0`` the centers are those of the summaries. The passes are followed by one that assigns rows to the
    final centers, and tells how much information is retained; it is skipped if the passes have converged.

    References
    ----------
    A. Banerjee, S. Merugu, I. S. Dhillon and J. Ghosh, "Clustering with Bregman Divergences", Journal of Machine
    Learning Research 6 (2005), 1705–1749.
    M. Rocklin, "Dask: Parallel Computation with Blocked Algorithms and Task Scheduling", Proceedings of the 14th Python
    in Science Conference (2015), 126–132.

    Examples
    --------
    >>> import dask.array as da
    >>> from skdiv.dask import MiniBatchDivergenceClustering
    >>> X = da.from_array([[8, 1, 1], [1, 1, 8], [7, 2, 1], [1, 2, 7]], chunks=(2, 3))
    >>> clustering = MiniBatchDivergenceClustering(n_clusters=2, random_state=0).fit(X)
    >>> clustering.labels_
    dask.array<concatenate, shape=(4,), dtype=int64, chunksize=(2,), chunktype=numpy.ndarray>
    >>> clustering.labels_.compute()
    array([1, 0, 1, 0])
    """

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: None = None, sample_weight: Any = None) -> Self:
        """Cluster the rows of X.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_bins)
            Probabilities or counts, in blocks of rows; a block may be a sparse matrix of SciPy. What is in memory is
            fitted as by `skdiv.MiniBatchDivergenceClustering`.
        y : None
            Ignored.
        sample_weight : "counts", dask.array.Array, dask.dataframe.Series or array-like of shape (n_samples,), optional
            A mass for each row, in the blocks of X. ``"counts"`` takes the totals of the rows, which must then be
            counts.

        Returns
        -------
        MiniBatchDivergenceClustering
            The fitted estimator; if the fit fails, it is left as it was.

        Raises
        ------
        ValueError
            If a row is not a distribution, which is named by its block and its number in the block; if X has blocks of
            columns; or as by `skdiv.MiniBatchDivergenceClustering.fit`.
        TypeError
            If X is another kind of collection, or its blocks do not hold real numbers.
        """
        if not is_dask_collection(X):
            return super().fit(X, y, sample_weight)
        check_numbers(self.n_clusters, self.n_summaries)
        blocks, most, blank = Blocks.of(X), next(self._sizes(0)), clone(self)
        random_state = RandomState(check_random_state(self.random_state).randint(2**31 - 1))
        graph = Graph()
        result = clustered(
            graph,
            blocks.opened(graph, blank, sample_weight),
            most,
            int(self.n_clusters),
            int(self.refine),
            [int(seed) for seed in random_state.randint(2**31 - 1, size=len(blocks.parts))],
            self.n_jobs,
        )
        learned, clusters = graph.compute(result)
        state = {"_random_state": random_state, "_pseudocount": float(self.pseudocount)}
        fitted = self._of_clusters(clusters, blocks.expected.dtype)
        store_fitted(self, _FITTED, learned, fitted, state)
        self.labels_ = predict(copy(self), X)  # of a copy, which later fits and parameters leave as it is
        return self

    def partial_fit(self, X: Any, y: None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Add rows in memory to the summaries of all rows so far, and cluster these anew.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
            Probabilities or counts.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), optional
            A mass for each row.

        Returns
        -------
        MiniBatchDivergenceClustering
            The fitted estimator, whose ``labels_`` are an array in memory.

        Raises
        ------
        ValueError
            As by `skdiv.MiniBatchDivergenceClustering.partial_fit`.
        TypeError
            If X is a Dask collection.
        """
        if is_dask_collection(X):
            raise TypeError(
                "partial_fit takes rows in memory, but X is a Dask collection. Fit another estimator to it, and add "
                "its rows by merge."
            )
        return super().partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> Any:
        """Return the cluster of each row of X: that of the nearest center.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_new, n_bins)
            Probabilities or counts, in blocks of rows, or rows in memory.

        Returns
        -------
        dask.array.Array of shape (n_new,)
            The labels, in the blocks of X; an array in memory if X is.

        Raises
        ------
        ValueError, TypeError
            As by `predict` of this module.
        """
        return predict(self, X) if is_dask_collection(X) else super().predict(X)

    def transform(self, X: Any) -> Any:
        """Return the divergence KL(row ‖ center) of each row of X from the center of each cluster.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_new, n_bins)
            Probabilities or counts, in blocks of rows, or rows in memory.

        Returns
        -------
        dask.array.Array of shape (n_new, n_clusters)
            The divergences, in the blocks of X; an array in memory if X is.

        Raises
        ------
        ValueError, TypeError
            As by `transform` of this module.
        """
        return transform(self, X) if is_dask_collection(X) else super().transform(X)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean simplified silhouette of rows in memory.

        Parameters
        ----------
        X : {array-like, sparse matrix, frame} of shape (n_new, n_bins)
            Probabilities or counts.
        y : object
            Ignored.

        Returns
        -------
        float
            As by `skdiv.MiniBatchDivergenceClustering.score`. A Dask collection raises a TypeError.
        """
        if is_dask_collection(X):
            raise TypeError("score takes rows in memory, but X is a Dask collection; score a sample of its rows.")
        return super().score(X, y)


_FITTED = frozenset(cluster.MiniBatchDivergenceClustering.__annotations__)


# --- What is asked of each row by itself -----------------------------------------------------------------------------


def predict(estimator: Any, X: Any) -> da.Array:
    """Return the cluster of each row of a Dask collection, by an estimator that has been fitted in memory or by Dask.

    Parameters
    ----------
    estimator : DivergenceClustering or MiniBatchDivergenceClustering
        The fitted estimator. It becomes one node of the graph, so each worker gets it once.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_new, n_bins)
        Probabilities or counts, in blocks of rows.

    Returns
    -------
    dask.array.Array of shape (n_new,)
        The labels, as ``estimator.predict`` gives them for each block. The array is lazy; its chunks are the blocks of
        X, and of unknown size where those are, as in a frame.

    Raises
    ------
    ValueError, TypeError
        If X has blocks of columns, or is another kind of collection; and when the result is computed, as by
        ``estimator.predict``, with the number of the block.

    See Also
    --------
    transform : The divergences from the clusters.

    References
    ----------
    The formulas of the divergences and their sources are those of `skdiv.divergences`.

    Examples
    --------
    >>> import dask.array as da
    >>> from skdiv import DivergenceClustering
    >>> from skdiv.dask import predict
    >>> clustering = DivergenceClustering(2).fit([[8, 1, 1], [7, 2, 1], [1, 2, 7], [1, 1, 8]])
    >>> predict(clustering, da.from_array([[9, 2, 1], [0, 1, 3]], chunks=(1, 3))).compute()
    array([1, 0])
    """
    check_is_fitted(estimator)
    return _by_blocks(estimator, "predict", X, (), np.dtype(np.intp))


def transform(estimator: Any, X: Any) -> da.Array:
    """Return what a fitted transformer makes of each row of a Dask collection, such as its distances from clusters.

    Parameters
    ----------
    estimator : DivergenceClustering, MiniBatchDivergenceClustering or DivergenceEmbedding
        The fitted estimator. It becomes one node of the graph, so each worker gets it once.
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_new, n_bins)
        Probabilities or counts, in blocks of rows.

    Returns
    -------
    dask.array.Array of shape (n_new, n_features_out)
        What ``estimator.transform`` gives for each block. The array is lazy; its chunks are the blocks of X, and of
        unknown size where those are, as in a frame.

    Raises
    ------
    ValueError, TypeError
        If X has blocks of columns, or is another kind of collection; and when the result is computed, as by
        ``estimator.transform``, with the number of the block.

    See Also
    --------
    predict : The nearest cluster of each row.

    References
    ----------
    The formulas of the divergences and their sources are those of `skdiv.divergences`.

    Examples
    --------
    >>> import dask.array as da
    >>> from skdiv import DivergenceClustering
    >>> from skdiv.dask import transform
    >>> clustering = DivergenceClustering(2).fit([[8, 1, 1], [7, 2, 1], [1, 2, 7], [1, 1, 8]])
    >>> transform(clustering, da.from_array([[8, 1, 1], [1, 1, 8]], chunks=(1, 3))).compute().round(2)
    array([[0.54, 0.  ],
           [0.  , 0.54]])
    """
    check_is_fitted(estimator)
    return _by_blocks(estimator, "transform", X, (len(estimator.get_feature_names_out()),), estimator._dtype)


def _by_blocks(estimator: Any, method: str, X: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> da.Array:
    """Return what a method of an estimator makes of each block, an array of this shape for each row."""
    blocks, model = Blocks.of(X), delayed(estimator, traverse=False, pure=False)
    of_block = delayed(_by_method, pure=False)
    parts = [of_block(model, method, number, part, shape, dtype) for number, part in enumerate(blocks.parts)]
    return blocks.joined(parts, shape, dtype)


# --- Tasks -----------------------------------------------------------------------------------------------------------


def _by_method(estimator: Any, method: str, number: int, X: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return what a method of an estimator makes of a block, which may have no rows."""
    if not X.shape[0]:
        return np.empty((0, *shape), dtype)
    with naming_block(number):
        return getattr(estimator, method)(X)
