"""How long trees under a connectivity take: beside scikit-learn's structured trees, and beside a fit without one.

    python benchmarks/connectivity.py

prints the time of the tree alone, from the divergences of the edges, with scikit-learn's `linkage_tree` (whose
distances are a Python function of an edge, for the alternative is a square matrix) and with this library; then that
of a whole fit with one worker, under the graph and without it. The graphs are of the 10 nearest neighbours of each
row, among rows of a Dirichlet distribution. With concentration 1 a few clusters grow by one row after another and
have many edges, with 0.1 hardly any does. Times are medians of interleaved repetitions, and the trees are compared.
"""

import time
from statistics import median

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import linkage_tree
from sklearn.neighbors import kneighbors_graph

from skdiv import DivergenceClustering, paired_divergences
from skdiv._trees.graph import connected_edges, tree_of_graph


def tree_of_scikit_learn(n, edges, distances, linkage):
    """The children and heights of scikit-learn's tree; for single linkage of ranks, since it has no place for zeros."""
    i, j = edges
    steps, ranks = np.unique(distances, return_inverse=True)
    lengths = ranks + 1.0 if linkage == "single" else distances
    of_edge = dict(zip((i * n + j).tolist(), lengths.tolist(), strict=True))

    def distance(left, right):
        low, high = sorted((int(left[0]), int(right[0])))
        return of_edge[low * n + high]

    graph = sp.csr_array((np.ones(2 * len(i)), (np.append(i, j), np.append(j, i))), shape=(n, n))
    nodes = np.arange(n, dtype=np.float64)[:, np.newaxis]
    children, *_, heights = linkage_tree(
        nodes, connectivity=graph, linkage=linkage, affinity=distance, return_distance=True
    )
    if linkage == "single":
        heights = steps[heights.astype(np.intp) - 1]
    return np.column_stack([np.sort(children, axis=1), heights])


def medians(functions, repetitions):
    """The median time of each function, and its last result."""
    taken = [[] for _ in functions]
    results = [None] * len(functions)
    for _ in range(repetitions):
        for k, function in enumerate(functions):
            start = time.perf_counter()
            results[k] = function()
            taken[k].append(time.perf_counter() - start)
    return *map(median, taken), *results


def time_trees(n, concentration, repetitions):
    X = np.random.default_rng(0).dirichlet(np.full(64, concentration), n)
    graph = kneighbors_graph(X, 10, include_self=False)
    edges = connected_edges(graph, None)
    distances = paired_divergences(X[edges[0]], X[edges[1]], n_jobs=1)

    def fit(linkage, connectivity):
        return DivergenceClustering(linkage=linkage, connectivity=connectivity, n_jobs=1).fit(X)

    for linkage in ("single", "average", "complete"):
        builders = [tree_of_scikit_learn, tree_of_graph]
        peer, ours, expected, tree = medians(
            [lambda build=build: build(n, edges, distances, linkage) for build in builders],  # noqa: B023
            repetitions,
        )
        np.testing.assert_array_equal(tree[:, :2], expected[:, :2])
        np.testing.assert_allclose(tree[:, 2], expected[:, 2], rtol=1e-12)
        bound, free, *_ = medians([lambda graph=graph: fit(linkage, graph) for graph in (graph, None)], repetitions)  # noqa: B023
        print(
            f"| {linkage} | {n:,} | {concentration} | {len(distances):,} | {peer:.3f} s | {ours:.3f} s "
            f"| {peer / ours:.1f} × | {bound:.3f} s | {free:.3f} s |",
            flush=True,
        )


def main():
    DivergenceClustering().fit(np.eye(5) + 1)  # compiles
    print("| linkage | rows | concentration | edges | scikit-learn | tree | ratio | fit | fit without |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for n, repetitions in [(2000, 5), (8000, 1)]:
        for concentration in (1, 0.1):
            time_trees(n, concentration, repetitions)


if __name__ == "__main__":
    main()
