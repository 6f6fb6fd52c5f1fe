"""Trees that keep to a graph: scikit-learn's on a precomputed matrix, from the divergences of its edges alone."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import random_distributions
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph

from skdiv import DivergenceClustering, pairwise_divergences
from skdiv._compute.measure import Measure
from skdiv._trees import graph as trees

X = random_distributions(60, 12, seed=3)
CHAIN = sp.diags_array([np.ones(59), np.ones(59)], offsets=[-1, 1]).tocsr()


LINKAGES = ["average", "complete", "single"]


def random_edges(n, n_more, seed):
    """The edges i < j of a connected graph: a random tree, and some more."""
    rng = np.random.default_rng(seed)
    tree = np.column_stack([rng.integers(np.arange(1, n)), np.arange(1, n)])
    more = np.sort(rng.integers(n, size=(n_more, 2)), axis=1)
    i, j = np.unique(np.vstack([tree, more[more[:, 0] < more[:, 1]]]), axis=0).T
    return i, j


def star(n):
    """The edges of a star, and distances."""
    return (np.zeros(n - 1, dtype=np.intp), np.arange(1, n)), np.random.default_rng(0).permutation(n - 1) + 1.0


def lines_run(function):
    """How many lines of Python a call runs: a measure of its work that is the same each time."""
    n_lines, previous = 0, sys.gettrace()

    def trace(frame, event, argument):  # noqa: ARG001
        nonlocal n_lines
        n_lines += event == "line"
        return trace

    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(previous)
    return n_lines


def replayed(tree, edges, distances, linkage):
    """Replay the merges of a tree by the definition.

    Returns for each the length of the edge between the two clusters, that of the shortest edge of all, and the number
    of leaves of both.
    """
    steps = []
    between = {frozenset(edge): distance for edge, distance in zip(zip(*edges, strict=True), distances, strict=True)}
    sizes = dict.fromkeys(range(len(tree) + 1), 1)
    for new, (i, j) in enumerate(tree[:, :2], start=len(tree) + 1):
        sizes[new] = sizes[i] + sizes[j]
        steps.append((between[frozenset((i, j))], min(between.values()), sizes[new]))
        for k in sizes:
            both = {part: between.pop(frozenset((part, k))) for part in (i, j) if frozenset((part, k)) in between}
            if both and k not in (i, j):
                weights = [sizes[part] for part in both]
                join = {"single": min, "complete": max, "average": lambda of: np.average(of, weights=weights)}[linkage]  # noqa: B023
                between[frozenset((new, k))] = join(list(both.values()))
        del sizes[i], sizes[j]
    return np.array(steps).T


def of_scikit_learn(D, graph, linkage):
    return AgglomerativeClustering(
        5, metric="precomputed", linkage=linkage, connectivity=graph, compute_distances=True
    ).fit(D)


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("metric", ["js_distance", "kl", "precomputed"])
@pytest.mark.parametrize("graph", [CHAIN, CHAIN.toarray(), sp.random(60, 60, 0.1, random_state=0) + CHAIN])
def test_the_tree_is_scikit_learns(linkage, metric, graph):
    D = pairwise_divergences(X, metric="js_distance" if metric == "precomputed" else metric)
    D = (D + D.T) / 2
    clustering = DivergenceClustering(5, metric=metric, linkage=linkage, connectivity=graph)
    clustering.fit(D if metric == "precomputed" else X)
    expected = of_scikit_learn(D, graph, linkage)
    np.testing.assert_array_equal(clustering.children_, np.sort(expected.children_, axis=1))
    np.testing.assert_allclose(clustering.distances_, expected.distances_, rtol=1e-9)
    assert adjusted_rand_score(clustering.labels_, expected.labels_) == 1
    assert clustering.linkage_matrix_[-1, 3] == 60


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("n_more", [0, 200, 3000])
def test_large_trees_are_scikit_learns(linkage, n_more):
    n, edges = 300, random_edges(300, n_more, seed=1)
    D = np.zeros((n, n))
    D[edges] = np.random.default_rng(2).random(len(edges[0]))
    D += D.T
    expected = of_scikit_learn(D, sp.csr_array(D), linkage)
    tree = trees.tree_of_graph(n, edges, D[edges], linkage)
    np.testing.assert_array_equal(tree[:, :2], np.sort(expected.children_, axis=1))
    np.testing.assert_allclose(tree[:, 2], expected.distances_, rtol=1e-12)


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("seed", range(5))
def test_with_ties_each_merge_is_of_two_nearest_clusters(linkage, seed):
    edges = random_edges(80, 200, seed)
    distances = np.random.default_rng(seed).integers(4, size=len(edges[0])) / 3
    tree = trees.tree_of_graph(80, edges, distances, linkage)
    merged, shortest, sizes = replayed(tree, edges, distances, linkage)
    np.testing.assert_allclose(merged, shortest, rtol=1e-12)
    np.testing.assert_allclose(tree[:, 2], shortest, rtol=1e-12)
    assert sizes.tolist() == tree[:, 3].tolist()


@pytest.mark.parametrize("linkage", LINKAGES)
def test_the_distances_of_a_tree_rise(linkage):
    for seed in range(20):
        edges = random_edges(60, 10 * seed, seed)
        heights = trees.tree_of_graph(60, edges, np.random.default_rng(seed).random(len(edges[0])), linkage)[:, 2]
        assert (np.diff(heights) >= -1e-15).all()


@pytest.mark.parametrize("linkage", ["average", "complete"])
def test_a_merge_with_a_hub_does_not_touch_all_its_edges(linkage):
    few, many = (lines_run(lambda n=n: trees.tree_of_graph(n, *star(n), linkage)) for n in (200, 400))
    assert many < 2.2 * few


def test_single_linkage_does_nothing_in_python_for_each_edge():
    few, many = (lines_run(lambda n=n: trees.tree_of_graph(n, *star(n), "single")) for n in (200, 400))
    assert many < 1.1 * few


def test_the_graph_may_be_a_function():
    def neighbours(rows):
        return kneighbors_graph(rows, 20, include_self=False)

    clustering = DivergenceClustering(5, connectivity=neighbours).fit(X)
    assert clustering.linkage_ == "average"
    expected = DivergenceClustering(5, linkage="average", connectivity=neighbours(X)).fit(X)
    np.testing.assert_array_equal(clustering.linkage_matrix_, expected.linkage_matrix_)


def test_zeros_stored_in_a_graph_are_no_edges_and_stay_there():
    graph = CHAIN.copy()
    graph.data[: len(graph.data) // 2] = 0
    before = graph.copy()
    with pytest.warns(UserWarning, match="parts that are not connected"):
        DivergenceClustering(5, linkage="average", connectivity=graph).fit(X)
    np.testing.assert_array_equal(graph.data, before.data)


@pytest.mark.parametrize("linkage", ["average", "complete"])
def test_parts_are_joined_where_they_are_nearest(linkage):
    graph = sp.block_diag([CHAIN[:20, :20], CHAIN[:25, :25], CHAIN[:15, :15]]).tocsr()
    D = pairwise_divergences(X)
    with pytest.warns(UserWarning, match="The connectivity graph has 3 parts"):
        clustering = DivergenceClustering(5, linkage=linkage, connectivity=graph).fit(X)
    with pytest.warns(UserWarning, match="number of connected components"):
        expected = of_scikit_learn(D, graph, linkage)
    np.testing.assert_allclose(clustering.distances_, expected.distances_, rtol=1e-9)
    assert adjusted_rand_score(clustering.labels_, expected.labels_) == 1


def in_parts(n, n_parts):
    """A graph of so many parts, each a path, whose nodes are mixed."""
    part = np.random.default_rng(0).permutation(np.arange(n) % n_parts)
    nodes = np.argsort(part)
    inside = part[nodes[:-1]] == part[nodes[1:]]
    i, j = nodes[:-1][inside], nodes[1:][inside]
    return sp.csr_array((np.ones(len(i)), (np.minimum(i, j), np.maximum(i, j))), shape=(n, n)), part


@pytest.mark.filterwarnings("ignore:The connectivity graph has")
@pytest.mark.parametrize("n_parts", [2, 3, 40])
@pytest.mark.parametrize("tile", [1, 50, 10**6])
def test_each_two_parts_are_joined_at_their_nearest_rows_a_tile_of_distances_at_a_time(monkeypatch, n_parts, tile):
    n, (graph, part) = 150, in_parts(150, n_parts)
    D = np.random.default_rng(1).random((n, n))
    D += D.T
    blocks_made = []

    def distances(i, j):
        blocks_made.append((len(i), len(j)))
        return D[np.ix_(i, j)]

    monkeypatch.setattr(trees, "_TILE", tile, raising=False)
    edges = set(zip(*trees.connected_edges(graph, distances), strict=True))
    joins = set()
    for k in range(n_parts):
        for other in range(k):
            between = np.where(np.logical_and.outer(part == k, part == other), D, np.inf)
            joins.add(tuple(sorted(divmod(int(between.argmin()), n))))
    assert edges == joins | set(zip(*graph.nonzero(), strict=True))
    assert all(rows == 1 or rows * columns <= tile for rows, columns in blocks_made)
    if tile == 10**6:
        assert len(blocks_made) == n_parts - 1


def test_parts_are_told_of_also_where_the_tree_comes_from_a_cache(tmp_path):
    graph = sp.block_diag([CHAIN[:20, :20], CHAIN[:40, :40]]).tocsr()
    for _ in range(2):
        with pytest.warns(UserWarning, match="The connectivity graph has 2 parts"):
            DivergenceClustering(linkage="single", connectivity=graph, memory=str(tmp_path)).fit(X)


def test_clusters_are_connected_and_only_edges_are_computed(monkeypatch):
    pairs, paired = [], Measure._paired
    monkeypatch.setattr(Measure, "_paired", lambda self, P, Q: pairs.append(len(P)) or paired(self, P, Q))
    monkeypatch.setattr(Measure, "__call__", None)
    clustering = DivergenceClustering(7, linkage="complete", connectivity=CHAIN).fit(X)
    assert sum(pairs) == 59
    for label in range(7):
        members = np.flatnonzero(clustering.labels_ == label)
        assert connected_components(CHAIN[members][:, members])[0] == 1
    monkeypatch.undo()
    np.testing.assert_array_equal(clustering.predict(X), clustering.labels_)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_a_complete_graph_gives_the_tree_without_one(linkage):
    """Between near duplicates, whose divergences are below the machine epsilon, too."""
    rows = np.vstack(
        [[[1, 1, 1], [1, 1, 1], [1, 1, 1 + 1e-9], [1, 1, 1 + 3e-9], [3, 1, 1]], random_distributions(9, 3)]
    )
    free, bound = (
        DivergenceClustering(4, metric="js_divergence", linkage=linkage, connectivity=graph).fit(rows)
        for graph in (None, np.ones((14, 14)))
    )
    np.testing.assert_allclose(bound.distances_, free.distances_, rtol=1e-7)
    assert adjusted_rand_score(bound.labels_, free.labels_) == 1


def test_edges_are_read_in_either_direction_and_zeros_are_none():
    upper = sp.triu(CHAIN).tocsr()
    both, one = (DivergenceClustering(5, connectivity=graph).fit(X).linkage_matrix_ for graph in (CHAIN, upper))
    np.testing.assert_array_equal(both, one)
    explicit = CHAIN.tolil()
    explicit[0, 59] = 2
    explicit = explicit.tocsr()
    explicit.data[explicit.data == 2] = 0
    np.testing.assert_array_equal(both, DivergenceClustering(5, connectivity=explicit).fit(X).linkage_matrix_)
    cut = CHAIN.copy()
    cut[29, 30] = cut[30, 29] = 0
    assert cut.nnz == CHAIN.nnz  # an entry of zero is stored, and is no edge
    with pytest.warns(UserWarning, match="2 parts"):
        DivergenceClustering(5, connectivity=cut).fit(X)


def test_refusals():
    for linkage in ("ward", "information"):
        with pytest.raises(ValueError, match=f"linkage='{linkage}' takes no connectivity.*Use linkage='average'"):
            DivergenceClustering(linkage=linkage, connectivity=CHAIN).fit(X)
    with pytest.raises(ValueError, match="under a connectivity counts rows, and takes no sample_weight"):
        DivergenceClustering(connectivity=CHAIN).fit(X, sample_weight=np.ones(60))
    with pytest.raises(ValueError, match=r"connectivity must be of shape \(60, 60\)"):
        DivergenceClustering(connectivity=CHAIN[:5]).fit(X)
    with pytest.raises(TypeError, match="connectivity must be a graph of the rows, or a function that returns one"):
        DivergenceClustering(connectivity=lambda rows: None).fit(X)  # noqa: ARG005
    rows = np.array([[1.0, 0], [0, 1], [1, 1]])
    with pytest.raises(ValueError, match=r"metric 'kl' is infinite between X\[0\] and X\[1\]"):
        DivergenceClustering(metric="kl", connectivity=np.ones((3, 3))).fit(rows)
    single = DivergenceClustering(linkage="single", connectivity=CHAIN).fit(X, sample_weight=np.arange(1, 61))
    assert single.n_clusters_ == 2
