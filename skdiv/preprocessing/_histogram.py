"""A transformer from collections of observations to rows of counts."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self, get_args

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skdiv._input.checks import Matrix
from skdiv._input.estimators import store_fitted
from skdiv._input.names import ColumnLabels, refuse_other_columns
from skdiv._utils.memory import enough_memory
from skdiv._utils.sklearn import Interval, StrOptions, check_feature_names_in, fit_context, output_container
from skdiv._utils.typing import FloatArray
from skdiv.preprocessing._bins import Bins, OutOfRange, Rule, Strategy, learn_bins
from skdiv.preprocessing._observations import Observations, read_observations


class HistogramTransformer(TransformerMixin, BaseEstimator):
    """Transform collections of observations into rows of counts on common bins.

    Each collection becomes one row, which says how many of its observations fall into each bin. The bins are learned
    from the observations of all collections together. Observations are numbers, points in several dimensions, or
    categories.

    Parameters
    ----------
    bins : int, str or array-like, default="auto"
        The bins, as `numpy.histogram` and `numpy.histogramdd` have them: a number of bins; ascending edges; or a rule
        that chooses the number. ``"auto"`` goes by the size of a collection, see the notes. ``"doane"``, ``"fd"``,
        ``"rice"``, ``"scott"``, ``"sqrt"``, ``"stone"`` and ``"sturges"`` are those of NumPy on all observations
        together. For observations in several dimensions, a list has a number, a rule or edges for each. For categories,
        ``"auto"`` is all that occur in the fitted observations or are declared by their dtype, and a list has those
        that get a bin.
    strategy : {"auto", "categories", "kmeans", "quantile", "uniform"}, default="auto"
        How bins are chosen where ``bins`` has no edges. ``"uniform"`` bins are equally wide, and ``"quantile"`` bins
        hold equally many of the fitted observations. ``"kmeans"`` learns a codebook of as many prototypes as ``bins``
        says, over all dimensions at once, and counts an observation for the nearest. ``"categories"`` has one bin for
        each value. ``"auto"`` is categories for text, booleans and whatever has the dtype "category" of pandas, or
        Categorical or Enum of polars, and uniform for other numbers.
    out_of_range : {"bins", "clip", "error"}, default="bins"
        What happens to observations beyond the edges, and to unknown categories. ``"bins"`` counts them in bins of
        their own: one below and one above along each dimension, or one for all unknown categories. ``"clip"`` counts
        them in the outermost bins, and ``"error"`` refuses them. A codebook has no edges: whatever is far from all
        prototypes still counts for the nearest. To measure the drift from a reference, as the population stability
        index (PSI) does, pass ``"clip"``: in the bins for what is out of range the reference would have 0, so that
        ``"kl"`` and ``"jeffreys"``, which is the PSI, were infinite as soon as one new observation lies there.
    sparse_output : bool, default=False
        Whether the rows are in CSR, which is for many categories or bins.
    random_state : int, RandomState instance or None, default=None
        Determines the codebook of ``"kmeans"``. Pass an int for reproducible bins.

    Attributes
    ----------
    bin_edges_ : list of ndarray
        With bins that have edges alone: the edges along each dimension, without those at infinity.
    codebook_ : ndarray of shape (n_bins, n_features)
        With ``strategy="kmeans"`` alone: the prototypes, in ascending order.
    categories_ : ndarray
        With categories alone: the categories, in ascending order, or in that which their dtype declares.
    n_bins_ : int
        The number of bins, which is the number of columns of the rows.
    groups_ : ndarray
        If ``groups`` was passed to `fit`: the groups of the fitted observations, in ascending order. They are the names
        of the rows.
    n_features_in_ : int
        The number of dimensions of an observation.
    feature_names_in_ : ndarray of shape (n_features,)
        The names of the dimensions, if X is one long frame, or a list of frames, whose columns have names that are all
        strings.

    See Also
    --------
    skdiv.DivergenceClustering : Clusters the rows.
    sklearn.preprocessing.KBinsDiscretizer : Puts each feature of each sample into a bin, and counts nothing.
    sklearn.feature_extraction.text.CountVectorizer : Splits texts into words, and counts these.
    numpy.histogramdd : Counts the observations of one collection.

    Notes
    -----
    *Intervals*. A bin is closed on the left and open on the right; the last one is closed on both sides. So each row
    has the counts of `numpy.histogram`. In several dimensions they are those of `numpy.histogramdd`, where the bin of
    the last dimension varies fastest.

    *Several dimensions*. A rule is applied to one dimension at a time, and a grid has as many bins as the product of
    the numbers along the dimensions. So a grid is for few dimensions, and a codebook (``strategy="kmeans"``) for any
    number. As k-means goes by Euclidean distances, bring dimensions in different units to one scale first.

    *The rule* ``"auto"``. The rules of NumPy are made for one histogram. For all observations together they choose bins
    that are too narrow for a single collection, which has far fewer observations: most of its bins are then empty, and
    divergences are largely due to chance. So ``"auto"`` is the rule of this name in NumPy for as many observations as
    the median collection has, distributed as all observations are. In d dimensions it is applied to n^(3 / (2 + d))
    observations in place of n, by which the widths of the bins shrink with n as in the best grid of d dimensions (Scott
    1992). ``benchmarks/bins.py`` measures the gain.

    *Edges of* ``"auto"``. They span the range that a collection of median size would have, and the few observations
    beyond are counted as out of range; otherwise a single outlier would make all bins wide. With
    ``out_of_range="error"`` the outermost bins reach to the last observations.

    *Sizes of collections*. Collections with more observations have more influence on the bins. A collection without
    observations becomes a row of zeros. `DivergenceClustering` refuses such a row unless there is a pseudocount, and
    predicts the label -1 for it with ``handle_empty="label"``.

    References
    ----------
    D. Freedman and P. Diaconis, "On the histogram as a density estimator: L2 theory", Zeitschrift für
    Wahrscheinlichkeitstheorie und verwandte Gebiete 57 (1981), 453–476, for ``"fd"``, which ``"auto"`` takes for many
    observations.
    D. W. Scott, "Multivariate Density Estimation", Wiley (1992), for grids in several dimensions.
    J. Sivic and A. Zisserman, "Video Google: A Text Retrieval Approach to Object Matching in Videos", IEEE
    International Conference on Computer Vision (2003), 1470–1477, for codebooks.

    Examples
    --------
    >>> from skdiv.preprocessing import HistogramTransformer
    >>> transformer = HistogramTransformer(bins=2).fit([[0.1, 0.2, 0.9], [0.3, 0.7, 1.1, 0.8]])
    >>> transformer.get_feature_names_out().tolist()
    ['(-inf, 0.1)', '[0.1, 0.6)', '[0.6, 1.1]', '(1.1, inf)']
    >>> transformer.transform([[0.5, 0.6, 7.0]])
    array([[0., 1., 1., 1.]])
    >>> HistogramTransformer().fit_transform(["red", "blue", "red", "red"], groups=["x", "x", "y", "y"])
    array([[1., 1., 0.],
           [0., 2., 0.]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "bins": [Interval(Integral, 1, None, closed="left"), StrOptions(set(get_args(Rule))), "array-like"],
        "strategy": [StrOptions(set(get_args(Strategy)))],
        "out_of_range": [StrOptions(set(get_args(OutOfRange)))],
        "sparse_output": ["boolean"],
        "random_state": ["random_state"],
    }
    bin_edges_: list[FloatArray]
    codebook_: FloatArray
    categories_: NDArray[Any]
    n_bins_: int
    groups_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    _bins: Bins
    _are_text: bool
    _columns: ColumnLabels

    def __init__(
        self,
        bins: int | Rule | ArrayLike = "auto",
        *,
        strategy: Strategy = "auto",
        out_of_range: OutOfRange = "bins",
        sparse_output: bool = False,
        random_state: Any = None,
    ) -> None:
        self.bins = bins
        self.strategy = strategy
        self.out_of_range = out_of_range
        self.sparse_output = sparse_output
        self.random_state = random_state

    def fit(self, X: Any, y: None = None, groups: ArrayLike | None = None) -> Self:
        """Learn the bins from the observations of all collections.

        Parameters
        ----------
        X : sequence of array-likes of shape (n_i,) or (n_i, n_dimensions), or one long array-like
            The collections, one array each. With ``groups`` it is one array, Series or frame that holds the
            observations of all, of shape (n_observations,) or (n_observations, n_dimensions).
        y : None
            Ignored.
        groups : array-like of shape (n_observations,), optional
            The collection to which each observation of one long X belongs. The rows are in the order of
            ``numpy.unique(groups)``. The index of a Series has to be that of X, if X has one.

        Returns
        -------
        HistogramTransformer
            The fitted transformer.

        Raises
        ------
        ValueError
            If an observation is NaN or infinite, the collections do not go together, or the parameters do not fit the
            observations or each other.
        TypeError
            If the observations are neither numbers nor text, or are sparse or masked.
        """
        self._fit(X, y, groups)
        return self

    def fit_transform(self, X: Any, y: None = None, groups: ArrayLike | None = None) -> Any:
        """Learn the bins, and count the observations of each collection.

        Parameters
        ----------
        X : sequence of array-likes of shape (n_i,) or (n_i, n_dimensions), or one long array-like
            The collections, as in `fit`.
        y : None
            Ignored.
        groups : array-like of shape (n_observations,), optional
            The collection to which each observation of one long X belongs.

        Returns
        -------
        {ndarray, sparse matrix, frame} of shape (n_collections, n_bins)
            The counts, as `transform` returns them.

        Raises
        ------
        ValueError, TypeError, MemoryError
            As `fit` and `transform` do.
        """
        return self._rows(self._fit(X, y, groups), X)

    def transform(self, X: Any, groups: ArrayLike | None = None) -> Any:
        """Count the observations of each collection in the fitted bins.

        Parameters
        ----------
        X : sequence of array-likes of shape (n_i,) or (n_i, n_dimensions), or one long array-like
            The collections, as in `fit`.
        groups : array-like of shape (n_observations,), optional
            The collection to which each observation of one long X belongs.

        Returns
        -------
        {ndarray, sparse matrix, frame} of shape (n_collections, n_bins)
            The counts, as float64: an array, CSR with ``sparse_output``, or what `set_output` asks for. The index of a
            pandas frame has the groups, or the index of X if that is a Series of collections.

        Raises
        ------
        ValueError, TypeError
            If an observation is NaN or infinite, of other dimensions than the fitted ones, or out of range where
            ``out_of_range="error"``.
        MemoryError
            If dense counts do not fit into the memory that is left.
        """
        check_is_fitted(self)
        observations = read_observations(X, groups)
        self._refuse_other_observations(observations)
        return self._rows(observations, X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of the bins.

        Parameters
        ----------
        input_features : array-like of str, optional
            The names of the dimensions; by default those of the fitted frame, or x0, x1, …. They are part of the names
            of the bins of a grid in several dimensions.

        Returns
        -------
        ndarray of str
            Intervals such as ``[0, 0.5)``, in several dimensions such as ``x in [0, 0.5), y in [1, 2]``; categories,
            and ``(unknown)``, in more brackets if this is a category; or ``codeword 0`` and so on.
        """
        check_is_fitted(self)
        dimensions = check_feature_names_in(self, input_features)
        return np.array(self._bins.names(list(dimensions)), dtype=object)

    @fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X: Any, y: None, groups: ArrayLike | None) -> Observations:  # noqa: ARG002
        """Learn the bins, and return the observations they were learned from."""
        observations = read_observations(X, groups)
        if not len(observations.values):
            raise ValueError("X has no observations at all, and there is nothing to learn bins from.")
        bins = learn_bins(observations, self.bins, self.strategy, self.out_of_range, self.random_state)
        learned = {"_bins": bins, "n_bins_": bins.n_bins, "_are_text": observations.are_text}
        learned |= {"n_features_in_": observations.n_dimensions, "_columns": observations.columns}
        names = observations.columns.columns
        if names and all(isinstance(name, str) for name in names):
            learned["feature_names_in_"] = np.array(names, dtype=object)
        if groups is not None:
            learned["groups_"] = observations.groups
        store_fitted(self, _FITTED, learned, bins.fitted())
        return observations

    def _refuse_other_observations(self, observations: Observations) -> None:
        """Refuse observations that differ from the fitted ones in their dimensions, or by text in place of numbers."""
        if not len(observations.values):
            return
        if observations.n_dimensions != self.n_features_in_:
            raise ValueError(
                f"The observations in X have {observations.n_dimensions} dimensions, but those in the fitted X had "
                f"{self.n_features_in_}."
            )
        if observations.are_text != self._are_text:
            held = ("text", "numbers") if observations.are_text else ("numbers", "text")
            raise ValueError(f"X holds {held[0]}, but the fitted X held {held[1]}.")
        refuse_other_columns(observations.columns, self._columns, ("X", "the fitted X"), ", as they were fitted")

    def _rows(self, observations: Observations, X: Any) -> Any:
        """Return the counts of each collection, in a pandas frame if the groups or a Series X give it an index."""
        counts = self._counts(observations)
        index = observations.groups
        if index is None and hasattr(X, "iloc") and X.ndim == 1:
            index = X.index  # Before version 1.7 scikit-learn takes the index of a frame alone.
        if index is None or sp.issparse(counts) or output_container(self) != "pandas":
            return counts
        import pandas as pd

        return pd.DataFrame(counts, index=pd.Index(index), columns=self.get_feature_names_out())

    def _counts(self, observations: Observations) -> Matrix:
        """Return how many observations of each collection are in each bin."""
        shape = observations.n_rows, self.n_bins_
        places = self._bins.places(observations) if len(observations.values) else observations.rows
        if self.sparse_output:
            return sp.coo_array((np.ones(len(places)), (observations.rows, places)), shape=shape).tocsr()
        what = f"The matrix of the counts of {shape[0]} collections in {shape[1]} bins"
        with enough_memory(16 * shape[0] * shape[1], what, "Pass sparse_output=True, or fewer bins."):
            counts = np.bincount(observations.rows * self.n_bins_ + places, minlength=shape[0] * shape[1])
            return counts.reshape(shape).astype(np.float64)

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags, which say what input the transformer takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


_FITTED = frozenset(HistogramTransformer.__annotations__)  # the fitted attributes; parameters are not annotated
