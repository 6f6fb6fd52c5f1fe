"""Trees that keep to a graph: scikit-learn's on a precomputed matrix, from the divergences of its edges alone."""

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import random_distributions
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph

from skdiv import DivergenceClustering, pairwise_divergences
from skdiv._kernels import blocks

X = random_distributions(60, 12, seed=3)
CHAIN = sp.diags_array([np.ones(59), np.ones(59)], offsets=[-1, 1]).tocsr()


def of_scikit_learn(D, graph, linkage):
    return AgglomerativeClustering(
        5, metric="precomputed", linkage=linkage, connectivity=graph, compute_distances=True
    ).fit(D)


@pytest.mark.parametrize("linkage", ["average", "complete", "single"])
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


def test_the_graph_may_be_a_function():
    def neighbours(rows):
        return kneighbors_graph(rows, 20, include_self=False)

    clustering = DivergenceClustering(5, connectivity=neighbours).fit(X)
    assert clustering.linkage_ == "average"
    expected = DivergenceClustering(5, linkage="average", connectivity=neighbours(X)).fit(X)
    np.testing.assert_array_equal(clustering.linkage_matrix_, expected.linkage_matrix_)


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


def test_clusters_are_connected_and_only_edges_are_computed(monkeypatch):
    pairs, paired = [], blocks.paired
    monkeypatch.setattr(blocks, "paired", lambda *arguments: pairs.append(len(arguments[1])) or paired(*arguments))
    monkeypatch.setattr(blocks, "block", None)
    clustering = DivergenceClustering(7, linkage="complete", connectivity=CHAIN).fit(X)
    assert sum(pairs) == 59
    for label in range(7):
        members = np.flatnonzero(clustering.labels_ == label)
        assert connected_components(CHAIN[members][:, members])[0] == 1
    monkeypatch.undo()
    np.testing.assert_array_equal(clustering.predict(X), clustering.labels_)


@pytest.mark.parametrize("linkage", ["single", "complete", "average"])
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
