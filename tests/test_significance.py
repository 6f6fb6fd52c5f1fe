"""Significance of nodes: exact under the hypothesis, and of what is planted."""

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import planted
from joblib import parallel_config
from scipy.cluster import hierarchy
from scipy.stats import binomtest, kstest
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score, make_scorer
from sklearn.model_selection import GridSearchCV

from skdiv import DivergenceClustering, Significance
from skdiv._significance import nodes
from skdiv._significance.heights import TreeHeights
from skdiv._significance.nulls import CountedRows
from skdiv._significance.sequential import SequentialTest
from skdiv.cluster._fitting import measure_of


def clustered(X, *, alpha=0.05, n_resamples=99, seed=0, **parameters):
    rule = Significance(alpha=alpha, n_resamples=n_resamples, random_state=seed)
    return DivergenceClustering(rule, **parameters).fit(X)


def homogeneous(n, total=40, n_bins=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.multinomial(total, rng.dirichlet(np.ones(n_bins)), size=n)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("linkage", ["ward", "average", "information"])
def test_pvalues_under_the_hypothesis_are_uniform(linkage, monkeypatch):
    monkeypatch.setattr(SequentialTest, "pvalue", all_drawn)
    pvalues = [
        clustered(homogeneous(5, seed=seed), n_resamples=49, seed=seed, linkage=linkage).node_pvalues_[-1]
        for seed in range(200)
    ]
    assert kstest(np.array(pvalues) - 0.01, "uniform").pvalue > 0.01  # p-values are multiples of 1/50


def all_drawn(_, height, parts):
    """Without the early end, whose p-values are as low but not as fine."""
    heights = np.concatenate(list(parts))
    return (1 + (heights >= height * (1 - 1e-9)).sum()) / (1 + len(heights))


def test_homogeneous_rows_stay_together_as_often_as_they_should():
    splits = sum(clustered(homogeneous(8, seed=seed), seed=seed).n_clusters_ > 1 for seed in range(150))
    assert binomtest(splits, 150, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("linkage", ["ward", "average", "complete", "information"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_what_is_planted_is_found(linkage, container):
    counts, labels = planted(8)
    clustering = clustered(container(counts), linkage=linkage)
    assert clustering.n_clusters_ == 3
    assert adjusted_rand_score(labels, clustering.labels_) == 1
    assert clustering.cluster_centers_.shape == (3, 30)
    tested = np.isfinite(clustering.node_pvalues_)
    assert tested.sum() == 5  # two splits, three nodes that stay
    np.testing.assert_array_equal(clustering.predict(counts), clustering.labels_)


def test_every_node_above_a_cluster_is_significant_at_its_level():
    counts, _ = planted(8)
    clustering = clustered(counts, alpha=0.04)
    tree, n = clustering.linkage_matrix_, len(counts)
    levels = 0.04 * (tree[:, 3] - 1) / (n - 1)
    pvalues = clustering.node_pvalues_
    split = pvalues <= levels
    for node, (left, right) in enumerate(clustering.children_):
        for child in (left - n, right - n):
            if child >= 0:
                assert np.isfinite(pvalues[child]) == bool(split[node])
    assert split.sum() + 1 == clustering.n_clusters_
    leaves = {node.id: set(node.pre_order()) for node in hierarchy.to_tree(tree, rd=True)[1]}
    for label in range(clustering.n_clusters_):
        assert set(np.flatnonzero(clustering.labels_ == label)) in leaves.values()


def test_small_nodes_get_as_many_tables_as_their_level_needs():
    """Twenty rows that differ: a node of two has the level 0.05 / 19, and 99 tables give no p-value below 1 / 100."""
    rng = np.random.default_rng(0)
    X = 300 * np.eye(20) + rng.integers(0, 3, (20, 20))
    clustering = clustered(X)
    assert clustering.n_clusters_ == 20
    of_two = clustering.node_pvalues_[clustering.linkage_matrix_[:, 3] == 2]
    assert len(of_two) > 0
    assert (of_two <= 0.05 / 19).all()


def test_equal_rows_in_pairs_are_as_many_clusters():
    X = np.repeat(300 * np.eye(10), 2, axis=0) + 1
    assert clustered(X).labels_.tolist() == np.repeat(np.arange(10), 2).tolist()


def test_the_level_of_a_node_and_the_tables_it_gets(monkeypatch):
    counts, _ = planted(8)
    asked = []

    def record(test, _, parts):
        asked.append((test.n_most, test.level, np.concatenate(list(parts))))
        return 0.0 if len(asked) < 3 else 1.0

    monkeypatch.setattr(SequentialTest, "pvalue", record)
    tree = clustered(counts).linkage_matrix_
    (n, level, heights), (of_child, level_of_child, _) = asked[:2]
    assert (n, level) == (99, 0.05)
    assert len(set(heights)) == len(heights) == 99  # no chunk is the one before again
    sizes = {int(tree[child - 24, 3]) for child in tree[-1, :2].astype(int)}
    assert any(np.isclose(level_of_child, 0.05 * (size - 1) / 23) for size in sizes)
    assert of_child == max(99, int(np.ceil(1 / level_of_child)) - 1)


def test_the_tables_of_a_node_have_its_totals_and_its_weights():
    counts, _ = planted(4)
    members, weights = np.array([1, 5, 6]), np.arange(1.0, 13)
    counts[members, 4] = 0
    rows = CountedRows(counts, weights, with_empty_bins=True).some(members)
    for tables in (rows.observed(), rows.null().drawn(7, np.random.default_rng(0))):
        np.testing.assert_array_equal(tables.masses, np.tile(weights[members], (len(tables), 1)))
        stack = tables.rows.reshape(len(tables), 3, -1)
        np.testing.assert_array_equal(stack.sum(axis=2), np.tile(counts[members].sum(axis=1), (len(tables), 1)))
        np.testing.assert_array_equal(stack.sum(axis=1), np.tile(counts[members].sum(axis=0), (len(tables), 1)))
    assert len(np.unique(tables.rows, axis=0)) > 3
    in_bins = CountedRows(counts, weights, with_empty_bins=False).some(members).null().bin_totals
    np.testing.assert_array_equal(in_bins, [total for total in counts[members].sum(axis=0) if total > 0])
    assert len(in_bins) < counts.shape[1]
    heights = TreeHeights(measure_of(DivergenceClustering()), "information", 0.0)
    expected = DivergenceClustering(1, linkage="information").fit(counts[members], sample_weight=weights[members])
    np.testing.assert_allclose(heights(rows.observed()), expected.distances_[-1], rtol=1e-12)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_the_same_bits_for_any_number_of_workers(backend):
    """Sixty rows: large nodes, whose tables the workers draw, and small ones, which they test with all below them."""
    for X in (planted(20)[0], homogeneous(40)):
        one = clustered(X, n_resamples=199)
        with parallel_config(backend=backend):
            two = clustered(X, n_resamples=199, n_jobs=2)
        np.testing.assert_array_equal(one.node_pvalues_, two.node_pvalues_)
        np.testing.assert_array_equal(one.labels_, two.labels_)
    other = clustered(homogeneous(40), seed=1)
    assert other.node_pvalues_[-1] != clustered(homogeneous(40)).node_pvalues_[-1]


def test_it_does_not_matter_how_small_a_node_is_tested_with_all_below_it(monkeypatch):
    expected = clustered(planted(12)[0]).node_pvalues_
    for small in (1, 5, 1000):
        monkeypatch.setattr(nodes, "_SMALL", small)
        np.testing.assert_array_equal(clustered(planted(12)[0]).node_pvalues_, expected)


def test_joblibs_verbose_tells_how_many_merges_are_settled(capsys):
    with parallel_config(verbose=10):
        clustered(planted(20)[0], n_resamples=199)
    err = capsys.readouterr().err
    assert err.count("[skdiv] significance:") == 59  # of 60 rows
    assert "[Parallel" not in err


def test_the_name_stands_for_the_defaults():
    counts, labels = planted(3)
    assert adjusted_rand_score(labels, DivergenceClustering("significant").fit_predict(counts)) == 1
    assert Significance().get_params() == {"alpha": 0.05, "n_resamples": 999, "random_state": None}


def test_a_grid_search_reaches_the_rule():
    """At a level near one, rows of one distribution are split too; were all scores equal, the first would be best."""
    counts, labels = planted(6)
    model = DivergenceClustering(Significance(n_resamples=39, random_state=0))
    assert clone(model).n_clusters.n_resamples == 39
    scorer = make_scorer(adjusted_rand_score)
    search = GridSearchCV(model, {"n_clusters__alpha": [0.999, 0.05]}, scoring=scorer, cv=2).fit(counts, labels)
    assert search.best_params_["n_clusters__alpha"] == 0.05
    assert search.best_score_ == 1


def test_weights_and_pseudocounts_enter_the_test_too():
    counts, labels = planted(6)
    rule = Significance(n_resamples=99, random_state=0)
    for parameters in ({"linkage": "information"}, {"metric": "kl", "pseudocount": 0.5}):
        clustering = DivergenceClustering(rule, **parameters).fit(counts, sample_weight=counts.sum(axis=1))
        assert adjusted_rand_score(labels, clustering.labels_) == 1


def test_counts_in_single_precision():
    """Totals that single precision cannot hold, and heights that would differ from those of the tables."""
    counts = np.tile([[9_000_001, 8_000_003, 5]], (6, 1)).astype(np.float32)
    assert clustered(counts).n_clusters_ == 1
    assert clustered(planted(6)[0].astype(np.float32)).n_clusters_ == 3


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_matrix, sp.coo_array])
def test_any_sparse_counts_are_the_dense_ones(container):
    counts, _ = planted(4)
    expected, found = clustered(counts), clustered(container(counts))
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    twice = sp.csr_array((np.repeat(counts[counts > 0] / 2, 2), np.repeat(np.nonzero(counts)[1], 2),
                          np.append(0, 2 * np.cumsum((counts > 0).sum(axis=1)))), shape=counts.shape)  # fmt: skip
    assert twice.nnz == 2 * np.count_nonzero(counts)  # half of each count, two times
    np.testing.assert_array_equal(clustered(twice).labels_, expected.labels_)


def test_a_fit_that_fails_leaves_the_one_before():
    counts = homogeneous(6)
    clustering = DivergenceClustering(2).fit(counts)
    labels, tree = clustering.labels_, clustering.linkage_matrix_
    with pytest.raises(ValueError, match="not a whole number"):
        clustering.set_params(n_clusters="significant").fit(counts[:5] / 7)
    assert clustering.labels_ is labels
    assert clustering.linkage_matrix_ is tree


def test_more_tables_than_anyone_could_draw_are_not_prepared():
    assert clustered(np.full((3, 2), 30), alpha=1e-300).n_clusters_ == 1


def test_equal_rows_are_one_cluster():
    clustering = clustered(np.tile([[3, 0, 2]], (6, 1)))
    assert clustering.n_clusters_ == 1
    assert clustering.node_pvalues_[-1] == 1
    assert clustered(np.full((20, 1), 30) * [1, 0]).n_clusters_ == 1


def test_refusals():
    counts = homogeneous(6)
    broken = counts.astype(float)
    broken[2, 3] = 0.5
    with pytest.raises(ValueError, match=r"X\[2, 3\] = 0.5 is not a whole number, but significance needs counts"):
        clustered(broken)
    with pytest.raises(ValueError, match=r"X\[0, 1\] = 0.5 is not a whole number"):
        clustered(sp.csr_array([[1, 0.5], [1, 1]]))
    with pytest.raises(ValueError, match=r"X holds 1.6e\+10 observations, and tables can be drawn of 3e\+09"):
        clustered(np.full((2, 2), 4e9))
    with pytest.raises(ValueError, match=r"X holds more than 1e308 observations, and tables can be drawn of 3e\+09"):
        clustered([[1.7e308, 1], [1.7e308, 2]])
    with pytest.raises(ValueError, match="cannot be had with metric='precomputed'"):
        clustered(np.zeros((4, 4)), metric="precomputed")
    with pytest.raises(ValueError, match="cannot be had with a connectivity"):
        clustered(counts, connectivity=np.eye(6))
    with pytest.raises(ValueError, match="alpha == 2"):
        clustered(counts, alpha=2)
    with pytest.raises(ValueError, match="n_resamples == 0"):
        clustered(counts, n_resamples=0)
    with pytest.raises(ValueError, match="Counts drawn for the test of significance: metric 'kl' is infinite"):
        clustered([[9, 1, 1], [9, 1, 1], [9, 1, 1]], metric="kl", n_resamples=99)
