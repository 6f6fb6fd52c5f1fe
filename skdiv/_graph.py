"""Trees in which only neighbours in a graph merge. The tree is scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import linkage_tree
from sklearn.utils import check_array

from skdiv._terms import FloatArray

Places = NDArray[np.intp]


def check_connectivity(connectivity: Any, X: Any, linkage: str, masses: FloatArray | None) -> Any:
    """The graph, as an array or sparse matrix, of a linkage that can keep to it."""
    if connectivity is None:
        return None
    if linkage in ("ward", "information"):
        raise ValueError(
            f"linkage={linkage!r} takes no connectivity: the trees that keep to a graph are built from its distances "
            "alone. Use linkage='average', 'complete' or 'single'."
        )
    if masses is not None and linkage == "average":
        raise ValueError(
            "linkage='average' under a connectivity counts rows, and takes no sample_weight. Use linkage='complete' or "
            "'single', which do without, or no connectivity."
        )
    graph = connectivity(X) if callable(connectivity) else connectivity
    if np.ndim(graph) == 0 and not sp.issparse(graph):
        raise TypeError(f"connectivity must be a graph of the rows, or a function that returns one, not {graph!r}.")
    graph = check_array(graph, accept_sparse=["csr", "coo", "lil"], input_name="connectivity")
    n = X.shape[0]
    if graph.shape != (n, n):
        raise ValueError(
            f"connectivity must be of shape {(n, n)}, a row and a column for each row of X, not {graph.shape}."
        )
    return graph


def connected_edges(connectivity: Any, distances: Callable[[Places, Places], FloatArray]) -> tuple[Places, Places]:
    """The edges i < j of a graph; parts of it that are not connected are joined where they are nearest."""
    graph = sp.csr_array(connectivity, copy=True)
    graph.eliminate_zeros()
    n_parts, part = connected_components(graph, directed=False)
    i, j = graph.nonzero()
    places = np.minimum(i, j).astype(np.intp) * len(part) + np.maximum(i, j)
    places = places[i != j]
    if n_parts > 1:
        warnings.warn(
            f"The connectivity graph has {n_parts} parts that are not connected with each other; to build a whole tree "
            "each two of them are connected where they are nearest.",
            stacklevel=2,
        )
        members = [np.flatnonzero(part == k) for k in range(n_parts)]
        for k, some in enumerate(members):
            for others in members[:k]:
                of_some, of_others = divmod(int(distances(some, others).argmin()), len(others))
                low, high = sorted((int(some[of_some]), int(others[of_others])))
                places = np.append(places, low * len(part) + high)
    lower, higher = np.divmod(np.unique(places), len(part))
    return lower, higher


def tree_of_graph(n: int, edges: tuple[Places, Places], distances: FloatArray, linkage: str) -> FloatArray:
    """SciPy's Z of a connected graph of ``n`` nodes; the distances in it need not rise."""
    i, j = edges
    steps = None
    if linkage == "single":  # its tree is that of the ranks, and scikit-learn takes no distance for less than 2e-16
        steps, ranks = np.unique(distances, return_inverse=True)
        distances = ranks + 1.0
    of_edge: dict[int, float] = dict(zip((i * n + j).tolist(), distances.tolist(), strict=True))

    def distance(left: FloatArray, right: FloatArray) -> float:
        low, high = sorted((int(left[0]), int(right[0])))
        return of_edge[low * n + high]

    graph = sp.csr_array((np.ones(2 * len(i)), (np.append(i, j), np.append(j, i))), shape=(n, n))
    nodes = np.arange(n, dtype=np.float64)[:, np.newaxis]
    children, _, _, _, heights = linkage_tree(
        nodes, connectivity=graph, linkage=linkage, affinity=distance, return_distance=True
    )
    if steps is not None:
        heights = steps[heights.astype(np.intp) - 1]
    tree = np.column_stack([np.sort(children, axis=1), heights, np.zeros(n - 1)]).astype(np.float64)
    counts = np.ones(2 * n - 1)
    for k, (left, right) in enumerate(children):
        tree[k, 3] = counts[n + k] = counts[left] + counts[right]
    return tree
