"""Neighbours of the rows of Dask collections in a collection in memory."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import scipy.sparse as sp

from skdiv import neighbors
from skdiv._compute.measure import Symmetrize
from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName
from skdiv.cluster._blocks import naming_block
from skdiv.dask._graph import Blocks, da, delayed, is_later, precision_of


def nearest_divergences(
    X: Any,
    Y: Any,
    n_neighbors: int = 5,
    metric: MetricName | Divergence = "js_distance",
    *,
    reverse: bool = False,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> tuple[da.Array, da.Array]:
    """Find the nearest rows of Y for each row of a Dask collection, as `skdiv.nearest_divergences` does it in memory.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_X, n_bins)
        Probabilities or counts, in blocks of rows.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), or a future or delayed object of one
        The collection in which the neighbours are looked for. It becomes one node of the graph, so each worker gets it
        once. From some 10 MB on, ``client.scatter(Y, broadcast=True)`` is better.
    n_neighbors : int, default=5
        The number of neighbours of each row.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `skdiv.divergences` lists, or a `skdiv.Divergence`.
    reverse : bool, default=False
        The nearest are those with the lowest D(X[i] ‖ Y[j]), or with ``reverse`` D(Y[j] ‖ X[i]).
    symmetrize : {"mean", "min", "max"}, optional
        How D(X[i] ‖ Y[j]) and D(Y[j] ‖ X[i]) of an asymmetric divergence are combined into one number.
        By default they are not.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers within each task.

    Returns
    -------
    divergences : dask.array.Array of shape (n_X, n_neighbors)
        The divergences of the neighbours in ascending order, in nats unless ``base`` is given.
    indices : dask.array.Array of shape (n_X, n_neighbors)
        Their rows in Y. Both arrays are lazy, and come of the same tasks: compute them together, as
        ``dask.compute(divergences, indices)``.

    Raises
    ------
    ValueError, TypeError
        If X has blocks of columns, or is another kind of collection, or if there is no Y; and when the result is
        computed, as by `skdiv.nearest_divergences`, with the number of the block.

    See Also
    --------
    skdiv.nearest_divergences : The same for rows in memory, or for the rows of X among each other.

    References
    ----------
    The formulas of the divergences and their sources are those of `skdiv.divergences`.

    Examples
    --------
    >>> import dask
    >>> import dask.array as da
    >>> from skdiv.dask import nearest_divergences
    >>> X = da.from_array([[8, 1, 1], [7, 2, 1], [1, 2, 7], [1, 1, 8]], chunks=(2, 3))
    >>> divergences, indices = dask.compute(*nearest_divergences(X, [[9, 1, 0], [0, 1, 9]], n_neighbors=1))
    >>> indices[:, 0].tolist()
    [0, 0, 1, 1]
    """
    query = _Query.of(X, Y, metric, reverse, symmetrize, base, pseudocount, n_jobs)
    pairs = query.by_blocks(_nearest_in_block, n_neighbors)
    divergences, indices = (
        query.blocks.joined([delayed(itemgetter(k), pure=False)(pair) for pair in pairs], (int(n_neighbors),), kind)
        for k, kind in enumerate((query.dtype, np.dtype(np.intp)))
    )
    return divergences, indices


def divergences_within(
    X: Any,
    Y: Any,
    metric: MetricName | Divergence = "js_distance",
    *,
    radius: float,
    reverse: bool = False,
    symmetrize: Symmetrize | None = None,
    base: float | None = None,
    pseudocount: float = 0.0,
    n_jobs: int | None = None,
) -> da.Array:
    """Find the rows of Y within a radius of each row of a Dask collection, as `skdiv.divergences_within` in memory.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_X, n_bins)
        Probabilities or counts, in blocks of rows.
    Y : {array-like, sparse matrix, frame} of shape (n_Y, n_bins), or a future or delayed object of one
        The collection in which the rows are looked for, as in `nearest_divergences`.
    metric : str or Divergence, default="js_distance"
        The name of a divergence, which is one of those that `skdiv.divergences` lists, or a `skdiv.Divergence`.
    radius : float
        The largest divergence, in nats unless ``base`` is given.
    reverse : bool, default=False
        With ``reverse`` the divergence is D(Y[j] ‖ X[i]), else D(X[i] ‖ Y[j]).
    symmetrize : {"mean", "min", "max"}, optional
        How D(X[i] ‖ Y[j]) and D(Y[j] ‖ X[i]) of an asymmetric divergence are combined into one number.
        By default they are not.
    base : float, optional
        Base of the logarithm, 2 for bits; by default nats.
    pseudocount : float, default=0.0
        The number that is added to every entry before the rows are normalised, in the units of X.
    n_jobs : int, optional
        Number of joblib workers within each task.

    Returns
    -------
    dask.array.Array of shape (n_X, n_Y)
        A lazy array in the blocks of X, each of which is a `scipy.sparse.csr_array` of the divergences of at most the
        radius; computed as a whole it is one too. n_Y is unknown if Y is a future or a delayed object.

    Raises
    ------
    ValueError, TypeError
        As by `nearest_divergences`; and when the result is computed, as by `skdiv.divergences_within`, with the number
        of the block.

    See Also
    --------
    skdiv.divergences_within : The same for rows in memory, or for the rows of X among each other.

    References
    ----------
    The formulas of the divergences and their sources are those of `skdiv.divergences`.

    Examples
    --------
    >>> import dask.array as da
    >>> from skdiv.dask import divergences_within
    >>> X = da.from_array([[8, 1, 1], [7, 2, 1], [1, 2, 7], [1, 1, 8]], chunks=(2, 3))
    >>> divergences_within(X, [[9, 1, 0], [0, 1, 9]], radius=0.3).compute().toarray().round(2)
    array([[0.19, 0.  ],
           [0.22, 0.  ],
           [0.  , 0.22],
           [0.  , 0.19]])
    """
    query = _Query.of(X, Y, metric, reverse, symmetrize, base, pseudocount, n_jobs)
    n_Y = np.nan if is_later(Y) else np.shape(Y)[0]
    nothing = sp.csr_array((0, 0), dtype=query.dtype)
    parts = query.by_blocks(_within_in_block, n_Y, radius)
    return query.blocks.joined(parts, (n_Y,), query.dtype, nothing)


@dataclass(frozen=True)
class _Query:
    """What is asked of each row of a Dask collection about a collection in memory, by options of `skdiv.neighbors`."""

    blocks: Blocks
    others: Any
    dtype: np.dtype[Any]
    options: dict[str, Any]

    @classmethod
    def of(
        cls,
        X: Any,
        Y: Any,
        metric: MetricName | Divergence,
        reverse: bool,
        symmetrize: Symmetrize | None,
        base: float | None,
        pseudocount: float,
        n_jobs: int | None,
    ) -> _Query:
        """Take the blocks of X, and refuse to do without Y."""
        if Y is None:
            raise ValueError(
                "Y = None, but rows of a Dask collection are compared with others: pass these as Y, in memory."
            )
        blocks = Blocks.of(X)
        options = {
            "metric": metric,
            "reverse": reverse,
            "symmetrize": symmetrize,
            "base": base,
            "pseudocount": pseudocount,
            "n_jobs": n_jobs,
        }
        dtype = np.result_type(blocks.expected.dtype, precision_of(Y, blocks.expected.dtype))
        return cls(blocks, delayed(Y, traverse=False, pure=False), dtype, options)

    def by_blocks(self, function: Any, *arguments: Any) -> list[Any]:
        """Return a task for each block."""
        of_block = delayed(function, pure=False)
        return [
            of_block(number, part, self.others, *arguments, self.dtype, self.options)
            for number, part in enumerate(self.blocks.parts)
        ]


# --- Tasks -----------------------------------------------------------------------------------------------------------


def _nearest_in_block(
    number: int, X: Any, Y: Any, n_neighbors: int, dtype: np.dtype[Any], options: dict[str, Any]
) -> tuple[Any, Any]:
    """Return the divergences and the rows of Y of the nearest neighbours of the rows of a block."""
    if not X.shape[0]:
        return np.empty((0, n_neighbors), dtype), np.empty((0, n_neighbors), np.intp)
    with naming_block(number):
        values, indices = neighbors.nearest_divergences(X, Y, n_neighbors, **options)
        return values.astype(dtype, copy=False), indices


def _within_in_block(
    number: int, X: Any, Y: Any, n_Y: float, radius: float, dtype: np.dtype[Any], options: dict[str, Any]
) -> sp.csr_array:
    """Return the divergences of at most a radius between the rows of a block and those of Y, in CSR."""
    if not X.shape[0]:
        return sp.csr_array((0, np.shape(Y)[0] if np.isnan(n_Y) else int(n_Y)), dtype=dtype)
    with naming_block(number):
        return neighbors.divergences_within(X, Y, radius=radius, **options).astype(dtype, copy=False)
