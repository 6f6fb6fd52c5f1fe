"""Build trees in which only clusters that are neighbours in a graph merge, as scikit-learn defines them."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from sklearn.utils import check_array, gen_batches

from skdiv._input.checks import added_in_double, refuse_what_is_not_real, unconverted
from skdiv._input.names import Names, names_of, refuse_other_order, refuse_other_rows
from skdiv._trees.linkage import tree_of_merges
from skdiv._utils.progress import Advance, stage
from skdiv._utils.typing import FloatArray, Places
from skdiv._utils.warnings import warn_caller

Merges = tuple[Places, FloatArray]  # for each merge in order, a node of each of the two clusters, and the distance

_TILE = 2**20  # the largest number of distances between parts of a graph that are in memory at once


def check_connectivity(connectivity: Any, X: Any, linkage: str, masses: FloatArray | None, names: Names) -> Any:
    """Return a user's connectivity as an array or sparse matrix of shape (n, n), or None.

    ``names`` are those of X. A function is called with X. Refused are linkages that cannot use a graph, and what is not
    a graph of n rows, or has them in another order. For a graph whose parts are not all connected the user is warned.
    """
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
    if graph is None or np.isscalar(graph):
        raise TypeError(f"connectivity must be a graph of the rows, or a function that returns one, not {graph!r}.")
    names_of_graph, n = names_of(graph, "connectivity"), X.shape[0]
    refuse_other_order(names_of_graph)
    refuse_other_rows(graph, names.frame, ("connectivity", names.argument))
    graph = unconverted(graph, names_of_graph)
    refuse_what_is_not_real(graph, names_of_graph)
    if graph.shape != (n, n):
        raise ValueError(
            f"connectivity must be of shape {(n, n)}, a row and a column for each row of X, not {graph.shape}."
        )
    if names_of_graph.frame is None and graph.dtype == np.float16:  # SciPy has no sparse matrices of this dtype.
        graph = graph.astype(np.float32)
    graph = check_array(added_in_double(graph), accept_sparse=["csr", "coo", "lil"], input_name="connectivity")
    n_parts, _ = connected_components(_edges_of(graph), directed=False)
    if n_parts > 1:  # The warning is here, not where parts are joined: the tree may come from a cache.
        warn_caller(
            f"The connectivity graph has {n_parts} parts that are not connected with each other; to build a whole tree "
            "each two of them are connected where they are nearest."
        )
    return graph


def _edges_of(connectivity: Any) -> Any:
    """Return a graph in CSR in which only edges are stored."""
    graph = sp.csr_array(connectivity, copy=True)
    graph.eliminate_zeros()
    return graph


def connected_edges(connectivity: Any, distances: Callable[[Places, Places], FloatArray]) -> tuple[Places, Places]:
    """Return the edges of a graph as two arrays of nodes i < j.

    If the graph has parts that are not connected, an edge is added between each two of them, where they are nearest by
    ``distances(i, j)``, the matrix of distances between nodes.
    """
    graph = _edges_of(connectivity)
    n_parts, part = connected_components(graph, directed=False)
    i, j = graph.nonzero()
    if n_parts > 1:
        of_one, of_other = _nearest_of_parts(part, distances)
        i, j = np.append(i, of_one), np.append(j, of_other)
    places = np.minimum(i, j).astype(np.intp) * len(part) + np.maximum(i, j)
    lower, higher = np.divmod(np.unique(places[i != j]), len(part))
    return lower, higher


def _nearest_of_parts(part: Places, distances: Callable[[Places, Places], FloatArray]) -> tuple[Places, Places]:
    """Return, for each pair of parts of a graph, the two nodes, one of each part, that are nearest to each other."""
    nodes = np.argsort(part, kind="stable")
    starts = np.append(0, np.cumsum(np.bincount(part)))
    pairs: list[tuple[Places, Places]] = []
    for k, (start, stop) in enumerate(pairwise(starts[1:]), start=1):
        earlier = nodes[:start]
        nearest, lengths = _nearest_of_part(nodes[start:stop], earlier, distances)
        of_each_part = np.lexsort((lengths, part[earlier]))[starts[:k]]
        pairs.append((nearest[of_each_part], earlier[of_each_part]))
    one, other = zip(*pairs, strict=True)
    return np.concatenate(one), np.concatenate(other)


def _nearest_of_part(
    members: Places, others: Places, distances: Callable[[Places, Places], FloatArray]
) -> tuple[Places, FloatArray]:
    """Return, for each of the other nodes, the nearest member of a part, and its distance."""
    nearest, lengths = np.full(len(others), members[0]), np.full(len(others), np.inf)
    for some in gen_batches(len(members), max(1, _TILE // len(others))):
        block = distances(members[some], others)
        row = block.argmin(axis=0)
        shortest = np.take_along_axis(block, row[np.newaxis], axis=0)[0]
        closer = shortest < lengths
        nearest[closer], lengths[closer] = members[some][row[closer]], shortest[closer]
    return nearest, lengths


def tree_of_graph(n: int, edges: tuple[Places, Places], distances: FloatArray, linkage: str) -> FloatArray:
    """Return the tree of a connected graph of n nodes as SciPy's Z; only clusters with an edge between them merge.

    ``distances`` are the lengths of the edges.
    """
    order = np.argsort(distances, kind="stable")
    pairs, distances = np.column_stack(edges)[order], distances[order]
    if linkage == "single":
        with stage("tree"):
            return tree_of_merges(*_merges_of_spanning_tree(n, pairs, distances))
    with stage("tree", n - 1) as advance:
        return tree_of_merges(*_merges_of_shortest_edges(n, pairs, distances, advance, average=linkage == "average"))


def _merges_of_spanning_tree(n: int, pairs: Places, distances: FloatArray) -> Merges:
    """Return the merges of single linkage, from edges that are sorted by their distances."""
    # Ranks stand for the distances: SciPy takes a distance of 0 for no edge, and equal ones leave a choice of trees.
    ranks = np.arange(1.0, len(pairs) + 1)
    i, j = pairs.astype(np.int32).T  # SciPy 1.13 takes no larger integers.
    graph = sp.csr_array((ranks, (i, j)), shape=(n, n))
    kept = np.sort(minimum_spanning_tree(graph).data).astype(np.intp) - 1
    return pairs[kept], distances[kept]


def _merges_of_shortest_edges(
    n: int, pairs: Places, distances: FloatArray, advance: Advance, *, average: bool
) -> Merges:
    """Return the merges of average or complete linkage, from edges that are sorted by their distances.

    The two clusters with the shortest edge between them merge, again and again. A merge changes lengths of edges, but
    (apart from the rounding of a mean) only makes them longer. So the heap need not be updated: when an edge comes up
    that has grown since it was put there, it is put back with its new length.
    """
    clusters = _Clusters(n, pairs, distances, average=average)
    lengths = clusters.lengths
    heap = list(zip(lengths, range(len(lengths)), strict=True))  # A list in order is a heap.
    merged: list[int] = []
    while len(merged) < n - 1:
        length, edge = heappop(heap)
        if length == lengths[edge]:
            clusters.merge(edge)
            merged.append(edge)
            advance(1)
        elif lengths[edge] < inf:
            heappush(heap, (lengths[edge], edge))
    return pairs[merged], np.array([lengths[edge] for edge in merged])


class _Clusters:
    """Clusters of the nodes of a graph, at first one for each node, with the edges between them and their lengths.

    A cluster is named by one of its nodes. When two merge, the one with more edges keeps its name, and only the edges
    of the other are moved. So over all merges an edge is moved at most about log2 of the number of edges times.
    """

    def __init__(self, n: int, pairs: Places, lengths: FloatArray, *, average: bool) -> None:
        self.lengths: list[float] = lengths.tolist()
        self._ends: list[tuple[int, int]] = list(zip(*pairs.T.tolist(), strict=True))
        self._average = average
        self._sizes = [1] * n
        self._merged_into = list(range(n))
        self._edge_to: list[dict[int, int]] = [{} for _ in range(n)]
        for edge, (i, j) in enumerate(self._ends):
            self._edge_to[i][j] = self._edge_to[j][i] = edge

    def merge(self, edge: int) -> None:
        """Merge the two clusters that an edge connects.

        An edge to a third cluster that only one of them has keeps its length. If both have an edge to it, the shorter
        edge stays and gets the length that the linkage gives: the mean weighted by cluster sizes, or the maximum. The
        other edge gets infinite length. So no edge becomes shorter, as `_merges_of_shortest_edges` assumes.
        """
        lengths = self.lengths
        # Cluster i, which has fewer edges, is merged into cluster j.
        i, j = sorted(map(self._cluster_of, self._ends[edge]), key=lambda k: len(self._edge_to[k]))
        size_i, size_j = self._sizes[i], self._sizes[j]
        edges_of_i, edges_of_j = self._edge_to[i], self._edge_to[j]
        del edges_of_i[j], edges_of_j[i]
        for k, shorter in edges_of_i.items():
            edges_of_k = self._edge_to[k]
            del edges_of_k[i]
            if k in edges_of_j:
                longer = edges_of_j[k]
                of_i, of_j = lengths[shorter], lengths[longer]
                if of_i > of_j:
                    shorter, longer = longer, shorter
                lengths[longer] = inf
                lengths[shorter] = (
                    (size_i * of_i + size_j * of_j) / (size_i + size_j) if self._average else max(of_i, of_j)
                )
            edges_of_j[k] = edges_of_k[j] = shorter
        edges_of_i.clear()
        self._merged_into[i] = j
        self._sizes[j] += size_i

    def _cluster_of(self, node: int) -> int:
        """Return the name of the cluster of a node, and shorten the path of names that leads to it."""
        into = self._merged_into
        while into[node] != node:
            into[node] = node = into[into[node]]
        return node
