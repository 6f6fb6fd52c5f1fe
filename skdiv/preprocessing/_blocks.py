"""From a table with a row for each block, such as a page or a day, to the sums of the blocks that belong together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skdiv._input.checks import Matrix, MatrixLike, as_weights
from skdiv._input.distributions import normalise
from skdiv._input.names import Names, names_of, refuse_other_rows
from skdiv.preprocessing._observations import names_of_groups


class SummedBlocks(NamedTuple):
    """Rows of counts and the blocks that they are the sums of, as `sum_blocks` returns them.

    Parameters
    ----------
    X : {ndarray, CSR array, frame} of shape (n_groups, n_bins)
        The sum of the blocks of each group. It is a frame if the blocks were passed in one; the index of a pandas frame
        holds the groups.
    blocks : list of n_groups {ndarray, CSR array} of shape (n_blocks, n_bins)
        The blocks of each group, in the order in which they were passed.
    groups : ndarray of shape (n_groups,)
        The names of the groups, in ascending order.

    See Also
    --------
    sum_blocks : The function that returns it.

    References
    ----------
    A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", Cambridge University Press (1997),
    chapter 3, for data whose groups, and not whose observations, are independent.

    Examples
    --------
    >>> from skdiv.preprocessing import sum_blocks
    >>> X, blocks, groups = sum_blocks([[1, 2], [3, 0], [0, 5]], groups=["oslo", "bergen", "oslo"])
    >>> X
    array([[3., 0.],
           [1., 7.]])
    """

    X: Any
    blocks: list[Any]
    groups: NDArray[Any]


def sum_blocks(X: MatrixLike, groups: ArrayLike) -> SummedBlocks:
    """Sum the blocks of each group, such as the pages of each book or the days of each sensor.

    A block is a part of the data whose observations may depend on each other, while blocks are independent of each
    other. The functions that take ``blocks`` need them together with their sums, which this function computes from a
    table with a row for each block.

    Parameters
    ----------
    X : {array-like, sparse matrix, frame} of shape (n_blocks, n_bins)
        A row of weights, such as counts, for each block.
    groups : array-like of shape (n_blocks,)
        The group of each block: which book a page belongs to, or which sensor measured on a day. The index of a Series
        has to be that of X, if X is a frame of pandas.

    Returns
    -------
    SummedBlocks
        A named tuple of ``X``, which has a row for each group, ``blocks``, the blocks of each group, and ``groups``,
        the names of the groups. `DivergenceClustering.fit`, `pairwise_homogeneity` and `divergence_estimates` take
        ``X`` and ``blocks``.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, a block sums to zero, or ``groups`` does not name a group for each block.
    TypeError
        If X is masked or holds anything but real numbers, or the groups have no common order.

    See Also
    --------
    skdiv.Significance : Tests of clusters, which exchange blocks between rows.
    HistogramTransformer : Makes rows of counts from observations.

    References
    ----------
    A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", Cambridge University Press (1997),
    chapter 3, for data whose groups, and not whose observations, are independent.

    Examples
    --------
    >>> import numpy as np
    >>> from skdiv import DivergenceClustering, Significance
    >>> from skdiv.preprocessing import sum_blocks
    >>> rng = np.random.default_rng(0)
    >>> pages = np.vstack([rng.multinomial(50, rng.dirichlet(p, 24)) for p in ([4, 3, 2], [2, 3, 4])])
    >>> X, blocks, books = sum_blocks(pages, groups=np.arange(48) // 8)
    >>> DivergenceClustering(Significance(random_state=0)).fit(X, blocks=blocks).labels_
    array([0, 0, 0, 1, 1, 1])
    >>> int(DivergenceClustering(Significance(random_state=0)).fit(X).n_clusters_)  # as if words were independent
    3
    """
    names = names_of(X)
    refuse_other_rows(groups, names.frame, ("groups", "X"))
    weights = as_weights(X, names)
    normalise(weights, pseudocount=None, names=names)  # This refuses entries that are not weights, and empty blocks.
    found, rows = np.unique(names_of_groups(groups, weights.shape[0]), return_inverse=True)
    order = np.argsort(rows, kind="stable")
    ends = np.cumsum(np.bincount(rows))
    parts = np.split(order, ends[:-1])
    member = sp.csr_array((np.ones(len(order)), order, np.append(0, ends)), shape=(len(found), len(order)))
    sums = member @ weights.astype(np.float64, copy=False)
    return SummedBlocks(_framed(sums, names, found), [weights[part] for part in parts], found)


def _framed(sums: Matrix, names: Names, groups: NDArray[Any]) -> Any:
    """Return the sums in a frame, with the names of its columns, if the blocks came in one."""
    if names.frame is None:
        return sums
    if names.index is None:
        return type(names.frame)(sums, schema=names.columns)
    return type(names.frame)(sums, index=groups, columns=names.frame.columns)
