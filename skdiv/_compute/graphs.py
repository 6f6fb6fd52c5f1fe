"""Graphs of rows in CSR, in which an edge of length 0 is stored like any other."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from skdiv._utils.typing import FloatArray, Places

_FLOOR = 1e-300  # less than any other distance; its reciprocal, which HDBSCAN adds up, is far from an overflow


def graph_of(i: Places, j: Places, values: FloatArray, shape: tuple[int, int]) -> sp.csr_array:
    """Return values in CSR, at rows ``i`` in ascending order and columns ``j`` as they come; zeros are stored too."""
    starts = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=shape[0]))])
    return sp.csr_array((values, j, starts), shape=shape)


def mirrored(graph: sp.csr_matrix) -> sp.csr_matrix:
    """Return a graph with each edge in both directions; of two lengths, which differ by rounding, that of i < j."""
    edges = graph.tocoo()
    upper, lower = edges.row <= edges.col, edges.row > edges.col
    above, below = (
        sp.coo_matrix((edges.data[some], (edges.row[some], edges.col[some])), shape=graph.shape)
        for some in (upper, lower)
    )
    once = joined(above, below.T)
    return joined(once, once.T)


def without_zeros(graph: sp.csr_matrix) -> sp.csr_matrix:
    """Return a graph with the floor of its dtype in place of each 0, except on the diagonal.

    A reader that takes a stored zero for no edge then finds the edges between equal rows.
    """
    zeros = np.flatnonzero(graph.data == 0)
    rows = np.searchsorted(graph.indptr, zeros, side="right") - 1
    graph.data[zeros[rows != graph.indices[zeros]]] = max(_FLOOR, float(np.finfo(graph.dtype).tiny))
    return graph


def joined(one: sp.csr_matrix, other: sp.spmatrix) -> sp.csr_matrix:
    """Return a graph with the edges of two; an edge in both has the value that it has in the first.

    Sums and maxima of sparse matrices do not do, for they drop edges of length 0.
    """
    one, other = one.tocoo(), other.tocoo()
    i, j = np.concatenate([one.row, other.row]), np.concatenate([one.col, other.col])
    values = np.concatenate([one.data, other.data])
    _, first = np.unique(i.astype(np.int64) * one.shape[1] + j, return_index=True)
    first = first[np.lexsort((j[first], values[first], i[first]))]
    return sp.csr_matrix(graph_of(i[first], j[first], values[first], one.shape))
