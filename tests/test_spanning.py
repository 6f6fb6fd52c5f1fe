"""The minimum spanning tree without the matrix: its edges are those of the matrix, and so is single linkage."""

import numpy as np
import pytest
from conftest import planted, random_distributions
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster import hierarchy
from scipy.sparse.csgraph import connected_components

from skdiv import DivergenceClustering, condensed_divergences, pairwise_divergences
from skdiv._compute import spanning
from skdiv._compute.measure import Measure
from skdiv._compute.search import Search
from skdiv._compute.spanning import spanning_tree
from skdiv._divergences.registry import divergences
from skdiv._input.distributions import as_distributions

pytestmark = pytest.mark.usefixtures("kernel")


def near_groups(n, n_bins, n_groups=3):
    rng = np.random.default_rng(0)
    rows = random_distributions(n_groups, n_bins)[np.arange(n) % n_groups]
    return rows * (1 + 1e-6 * rng.standard_normal(rows.shape))


def disjoint_clusters(n_clusters, size, n_bins=3):
    """Return distinct rows, of which those of different clusters share no bin, in random order."""
    rng = np.random.default_rng(0)
    rows = np.zeros((n_clusters, size, n_clusters, n_bins))
    places = np.arange(n_clusters)
    rows[places, :, places] = rng.multinomial(64, np.full(n_bins, 1 / n_bins), (n_clusters, size))
    return np.unique(rng.permutation(rows.reshape(n_clusters * size, -1)), axis=0)


COLLECTIONS = {
    "one cloud": random_distributions(1100, 20),
    "eight clusters": planted(140, n_bins=30, n_clusters=8)[0],
    "many clusters": planted(16, n_bins=30, n_clusters=70)[0],
    "zeros": random_distributions(700, 8, zeros=0.5),
    "equal rows": random_distributions(30, 10)[np.random.default_rng(0).integers(0, 30, 600)],
    "near duplicates": near_groups(600, 20),
    "disjoint": np.eye(20)[np.random.default_rng(0).integers(0, 20, 300)],
    "two rows": random_distributions(2, 5),
}


@pytest.mark.sampled
@pytest.mark.parametrize("rows", COLLECTIONS.values(), ids=COLLECTIONS)
@pytest.mark.parametrize("metric", ["js_distance", "hellinger", "total_variation"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_edges_are_those_of_a_minimum_spanning_tree(rows, metric, dtype):
    rows = rows.astype(dtype)
    i, j, lengths = spanning_tree(Measure(divergences()[metric]), as_distributions(rows), None)
    heights = hierarchy.linkage(condensed_divergences(rows, metric), "single")[:, 2]
    rtol, atol = (2e-9, 1e-13) if dtype == np.float64 else (1e-5, 2e-3)
    assert_allclose(lengths, heights, rtol=rtol, atol=atol)
    assert_allclose(pairwise_divergences(rows, metric=metric)[i, j], lengths, rtol=rtol, atol=atol)
    n = len(rows)
    assert connected_components(np.eye(n)[i].T @ np.eye(n)[j])[0] == 1


def test_longer_lists_are_asked_for_if_many_components_remain(monkeypatch):
    asked = []
    nearest = spanning.nearest
    monkeypatch.setattr(spanning, "nearest", lambda *args: asked.append(args[2]) or nearest(*args))
    rows = near_groups(1080, 4, n_groups=90)
    _, _, lengths = spanning_tree(Measure(divergences()["js_distance"]), as_distributions(rows), None)
    assert asked[0] < asked[-1]
    heights = hierarchy.linkage(condensed_divergences(rows), "single")[:, 2]
    assert_allclose(lengths, heights, rtol=2e-9, atol=1e-12)


@pytest.fixture
def one_by_one(monkeypatch):
    """The calls of the search for the shortest edge between two components."""
    asked = []
    lowest = Search.lowest_between
    monkeypatch.setattr(Search, "lowest_between", lambda *args: asked.append(args[1:]) or lowest(*args))
    return asked


@pytest.mark.parametrize("metric", ["js_distance", "hellinger", "total_variation"])
def test_edges_between_equidistant_components_are_found_together(metric, one_by_one):
    rows = disjoint_clusters(24, 13)
    _, _, lengths = spanning_tree(Measure(divergences()[metric]), as_distributions(rows), None)
    assert not one_by_one
    heights = hierarchy.linkage(condensed_divergences(rows, metric), "single")[:, 2]
    assert_allclose(lengths, heights, rtol=2e-9)


def test_a_few_edges_between_components_are_looked_for_one_by_one(one_by_one):
    rows = planted(300, n_bins=40, n_clusters=3)[0]
    spanning_tree(Measure(divergences()["js_distance"]), as_distributions(rows), None)
    assert 2 <= len(one_by_one) <= 3


@pytest.mark.parametrize(
    ("metric", "rows"),
    [("js_distance", planted(10, n_bins=30, n_clusters=40)[0]), ("total_variation", disjoint_clusters(12, 13))],
)
def test_edges_found_together_are_those_found_one_by_one(metric, rows, monkeypatch):
    """Between disjoint clusters the total variation is the same for all pairs, to the bit; they lie in many tiles."""
    monkeypatch.setattr("skdiv._compute.search._ROWS", 32)
    monkeypatch.setattr("skdiv._compute.search.COLUMNS", 48)
    trees = []
    for pairs in (0, np.inf):
        monkeypatch.setattr(spanning, "_PAIRS_OF_CALL", pairs)
        trees.append(spanning_tree(Measure(divergences()[metric]), as_distributions(rows), None))
    together, one_by_one = trees
    assert_array_equal(together.i, one_by_one.i)
    assert_array_equal(together.j, one_by_one.j)
    assert_allclose(together.lengths, one_by_one.lengths, rtol=2e-9)


@pytest.mark.parametrize("n_jobs", [2, -1])
@pytest.mark.parametrize("pairs_of_call", [0, np.inf])
def test_bits_do_not_depend_on_workers(n_jobs, pairs_of_call, monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    monkeypatch.setattr(spanning, "_PAIRS_OF_CALL", pairs_of_call)
    rows = as_distributions(COLLECTIONS["many clusters"][:600])
    one, more = (spanning_tree(Measure(divergences()["js_distance"]), rows, workers) for workers in (1, n_jobs))
    for ours, theirs in zip(one, more, strict=True):
        assert_array_equal(ours, theirs)


def test_single_linkage_of_many_rows_does_without_the_matrix(monkeypatch):
    rows = COLLECTIONS["eight clusters"]
    expected = DivergenceClustering(8, linkage="single").fit(rows)
    monkeypatch.setattr("skdiv._trees.build._MANY_ROWS", 100)
    monkeypatch.setattr(Measure, "condensed", None)
    fitted = DivergenceClustering(8, linkage="single").fit(rows)
    assert_array_equal(fitted.labels_, expected.labels_)
    assert_array_equal(fitted.children_, expected.children_)
    assert_allclose(fitted.linkage_matrix_, expected.linkage_matrix_, rtol=1e-9)
