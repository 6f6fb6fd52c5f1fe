"""Blocks in place of observations: the level for data that come in bursts, exact p-values, and what is refused."""

import re
from contextlib import nullcontext
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import POLARS, planted
from joblib import parallel_config
from scipy.special import xlogy
from scipy.stats import binomtest, chisquare
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdiv import (
    DivergenceClustering,
    MiniBatchDivergenceClustering,
    Significance,
    barycenter,
    mutual_information,
    pairwise_homogeneity,
)
from skdiv._input.blocks import Blocks, warn_of_sizes
from skdiv._input.names import names_of
from skdiv._significance.nodes import _chunks
from skdiv._significance.nulls import ExchangedBlocks
from skdiv._significance.sequential import SequentialTest
from skdiv.preprocessing import sum_blocks


def bursts(n, n_blocks=6, n_bins=12, total=40, seed=0):
    """Blocks that differ from one distribution far more than counts would, for n rows."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(n_bins))
    return np.array(
        [rng.multinomial(total, q) for q in rng.dirichlet(5 * p + 1e-3, n * n_blocks)], dtype=float
    ).reshape(n, n_blocks, n_bins)


def split_into_blocks(counts, n_blocks=6, seed=0):
    """Put the observations of each row into blocks at random."""
    rng = np.random.default_rng(seed)
    return np.array([rng.multinomial(column, np.full(n_blocks, 1 / n_blocks)).T for column in counts.astype(int)])


def clustered(X, blocks, *, seed=0, sample_weight=None, **parameters):
    rule = Significance(n_resamples=99, random_state=seed)
    return DivergenceClustering(rule, **parameters).fit(X, blocks=blocks, sample_weight=sample_weight)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("linkage", "sample_weight"), [("ward", None), ("average", "counts"), ("information", "counts")]
)
def test_bursts_are_split_as_seldom_as_they_should(linkage, sample_weight):
    splits = 0
    for seed in range(120):
        blocks = bursts(6, seed=seed)
        X = blocks.sum(axis=1)
        fitted = clustered(X, blocks, seed=seed, linkage=linkage, sample_weight=sample_weight)
        splits += fitted.n_clusters_ > 1
    assert binomtest(splits, 120, 0.05, alternative="greater").pvalue > 0.01
    as_if_independent = DivergenceClustering(Significance(n_resamples=99, random_state=0), linkage=linkage).fit(X)
    assert as_if_independent.n_clusters_ > 1


@pytest.mark.parametrize("linkage", ["ward", "average", "information"])
def test_what_is_planted_is_found_in_blocks_of_any_form(linkage):
    counts, labels = planted(5)
    blocks = split_into_blocks(counts)
    expected = clustered(counts, blocks, linkage=linkage)
    assert expected.n_clusters_ == 3
    assert len(set(zip(expected.labels_, labels, strict=True))) == 3
    before = blocks.copy()
    for form in (list(blocks), [each.tolist() for each in blocks], [sp.csr_matrix(each) for each in blocks]):
        found = clustered(counts, form, linkage=linkage)
        np.testing.assert_array_equal(found.node_pvalues_, expected.node_pvalues_)
    sparse = clustered(sp.csr_array(counts), [sp.csr_array(each) for each in blocks], linkage=linkage)
    np.testing.assert_array_equal(sparse.labels_, expected.labels_)
    np.testing.assert_array_equal(blocks, before)


def test_all_arrangements_of_blocks_are_as_likely():
    """Four blocks in two rows: six ways, of which two are the same but for the order of the rows."""
    null = ExchangedBlocks(Blocks(np.eye(4), np.array([2, 2])), None, by_totals=False)
    drawn = null.drawn(6000, np.random.default_rng(0))
    first = drawn.rows.reshape(6000, 2, 4)[:, 0] @ [1, 2, 4, 8]
    values, counts = np.unique(first, return_counts=True)
    assert values.tolist() == [3, 5, 6, 9, 10, 12]
    assert chisquare(counts).pvalue > 0.001
    np.testing.assert_array_equal(drawn.rows.reshape(6000, 2, 4).sum(axis=1), 1)
    assert Blocks(None, np.array([2, 2])).share_of_one_arrangement(rows_alike=True) == pytest.approx(1 / 3)
    assert Blocks(None, np.array([3, 2])).share_of_one_arrangement(rows_alike=True) == pytest.approx(1 / 10)
    assert Blocks(None, np.array([6, 6])).share_of_one_arrangement(rows_alike=False) == pytest.approx(1 / 924)


def test_rows_keep_their_numbers_of_blocks_and_masses_are_computed_again():
    blocks = Blocks(np.array([[1.0], [10], [100], [1000], [10000]]), np.array([1, 3, 1]))
    tables = ExchangedBlocks(blocks, np.ones(3), by_totals=True).drawn(50, np.random.default_rng(0))
    digits = [[str(int(total)).count("1") for total in table] for table in tables.rows.reshape(50, 3)]
    assert digits == [[1, 3, 1]] * 50
    np.testing.assert_array_equal(tables.masses, tables.rows.reshape(50, 3))
    kept = ExchangedBlocks(blocks, np.array([1.0, 2, 3]), by_totals=False).drawn(2, np.random.default_rng(0))
    np.testing.assert_array_equal(kept.masses, [[1, 2, 3], [1, 2, 3]])
    some = blocks.of(np.array([0, 2]))
    np.testing.assert_array_equal(some.values, [[1], [10000]])
    assert some.sizes.tolist() == [1, 1]


def test_few_orders_of_many_blocks_are_held_at_a_time():
    many = ExchangedBlocks(Blocks(np.ones((100_000, 2)), np.array([50_000, 50_000])), None, by_totals=False)
    sizes = list(_chunks(many.size, SequentialTest.at(0.001, 99)))
    assert sum(sizes) == 999
    assert max(sizes) * 100_000 <= 2**18


def test_weights_that_are_the_totals_are_computed_again():
    blocks = bursts(5, seed=6)
    blocks[1, 0] *= 6
    X = blocks.sum(axis=1)
    by_name = clustered(X, blocks, linkage="information", sample_weight="counts")
    by_value = clustered(X, blocks, linkage="information", sample_weight=X.sum(axis=1))
    np.testing.assert_array_equal(by_name.node_pvalues_, by_value.node_pvalues_)
    in_proportion = clustered(X, blocks, linkage="information", sample_weight=X.sum(axis=1) / X.sum())
    np.testing.assert_array_equal(by_name.node_pvalues_, in_proportion.node_pvalues_)
    others = clustered(X, blocks, linkage="information", sample_weight=1.0 + X.sum(axis=1))
    assert by_name.node_pvalues_[-1] != others.node_pvalues_[-1]


def test_the_pvalue_of_a_pair_is_that_of_all_arrangements():
    rng = np.random.default_rng(3)
    blocks = [rng.poisson(6 * rng.gamma(2, 0.5, (n, 5))) + 1.0 for n in (4, 3)]
    X, together = np.array([each.sum(axis=0) for each in blocks]), np.vstack(blocks)

    def statistic(first):
        rows = np.array([together[list(first)].sum(axis=0), together.sum(axis=0) - together[list(first)].sum(axis=0)])
        pooled, totals = rows.sum(axis=0), rows.sum(axis=1)
        terms = rows.sum(), rows, totals, pooled
        return 2 * sum(sign * xlogy(k, k).sum() for sign, k in zip((1, 1, -1, -1), terms, strict=True))

    every = [statistic(first) for first in combinations(range(7), 4)]
    exact = np.mean([each >= statistic(range(4)) * (1 - 1e-9) for each in every])
    assert 1 / comb(7, 4) < exact < 0.9
    result = pairwise_homogeneity(X, blocks=blocks, n_resamples=9999, random_state=0)
    assert result.statistic[0, 1] == pytest.approx(statistic(range(4)), rel=1e-9)
    assert abs(result.pvalue[0, 1] - exact) < 4 * np.sqrt(exact * (1 - exact) / 9999)
    sparse = pairwise_homogeneity(X, blocks=[sp.csr_array(each) for each in blocks], n_resamples=9999, random_state=0)
    np.testing.assert_array_equal(sparse.pvalue, result.pvalue)


def test_pairs_of_bursts_are_rejected_as_seldom_as_they_should():
    blocks = np.concatenate([bursts(2, seed=seed) for seed in range(60)])
    X = blocks.sum(axis=1)
    pairs = [(i, i + 1) for i in range(0, 120, 2)]
    rejected = {}
    for name, of_pair in (("blocks", lambda some: blocks[some]), ("observations", lambda _: None)):
        tests = [pairwise_homogeneity(X[[*pair]], blocks=of_pair([*pair]), n_resamples=99, random_state=k)
                 for k, pair in enumerate(pairs)]  # fmt: skip
        rejected[name] = sum(test.pvalue[0, 1] <= 0.05 for test in tests)
    assert binomtest(rejected["blocks"], 60, 0.05, alternative="greater").pvalue > 0.01
    assert rejected["observations"] > 40


def test_the_same_bits_for_any_number_of_workers():
    blocks = split_into_blocks(planted(13)[0])
    X = blocks.sum(axis=1)
    one = clustered(X, blocks)
    with parallel_config(backend="threading", n_jobs=2):
        two = clustered(X, blocks)
    np.testing.assert_array_equal(one.node_pvalues_, two.node_pvalues_)


def test_blocks_are_routed_as_metadata():
    counts, _ = planted(4)
    blocks = split_into_blocks(counts)
    expected = clustered(counts, blocks)
    model = DivergenceClustering(Significance(n_resamples=99, random_state=0))
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(FunctionTransformer(), model.set_fit_request(blocks=True)).fit(counts, blocks=blocks)
    np.testing.assert_array_equal(pipeline[-1].node_pvalues_, expected.node_pvalues_)
    labels = DivergenceClustering(Significance(n_resamples=99, random_state=0)).fit_predict(counts, blocks=blocks)
    np.testing.assert_array_equal(labels, expected.labels_)


# --- From the long form ---


def test_blocks_of_a_group_are_summed():
    pages = np.random.default_rng(0).poisson(3, (7, 4)) + 1
    groups = ["b", "a", "b", "c", "a", "b", "c"]
    X, blocks, names = sum_blocks(pages, groups)
    assert names.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(
        X, [pages[[1, 4]].sum(axis=0), pages[[0, 2, 5]].sum(axis=0), pages[[3, 6]].sum(axis=0)]
    )
    np.testing.assert_array_equal(blocks[1], pages[[0, 2, 5]])
    sparse = sum_blocks(sp.csr_array(pages), groups)
    np.testing.assert_array_equal(sparse.X.toarray(), X)
    np.testing.assert_array_equal(sparse.blocks[1].toarray(), blocks[1])


def test_frames_keep_their_names():
    pages = {"rain": [1, 2, 3], "sun": [4, 5, 6]}
    X = sum_blocks(pd.DataFrame(pages), pd.Series(["oslo", "bergen", "oslo"])).X
    assert X.loc["oslo"].to_dict() == {"rain": 4, "sun": 10}


@pytest.mark.parametrize("frame", [POLARS])
def test_frames_of_polars_keep_their_names(frame):
    X = sum_blocks(frame({"rain": [1, 2, 3], "sun": [4, 5, 6]}), ["oslo", "bergen", "oslo"]).X
    assert X.to_dict(as_series=False) == {"rain": [2, 4], "sun": [5, 10]}


def test_refusals_of_the_long_form():
    with pytest.raises(ValueError, match=r"X\[1\] sums to 0"):
        sum_blocks([[1, 2], [0, 0]], [0, 1])
    with pytest.raises(ValueError, match="groups must be a vector"):
        sum_blocks([[1, 2], [3, 0]], [0])
    with pytest.raises(ValueError, match=r"groups\[1\] = nan"):
        sum_blocks([[1, 2], [3, 0]], [0, np.nan])


# --- What is refused, and warned about ---


def test_blocks_that_do_not_fit_are_refused():
    blocks = bursts(4)
    X = blocks.sum(axis=1)
    other = X.copy()
    other[2, 3] += 1
    with pytest.raises(
        ValueError, match=rf"X\[2, 3\] = {other[2, 3]:g}, but the blocks of this row, blocks\[2\], sum to"
    ):
        clustered(other, blocks)
    with pytest.raises(ValueError, match="blocks has blocks of 3 rows, but X has 4 rows"):
        clustered(X, blocks[:3])
    with pytest.raises(ValueError, match=r"blocks has the shape \(4, 12\), which does not tell whose a block is"):
        clustered(X, X)
    with pytest.raises(ValueError, match=r"blocks has the shape \(4, 12\)"):
        clustered(X, sp.csr_array(X))
    for none in (3, "blocks", dict(enumerate(blocks))):
        with pytest.raises(TypeError, match=f"blocks is of the type {type(none).__name__}. Pass an array of shape"):
            clustered(X, none)
    with pytest.raises(ValueError, match=r"blocks\[0\] has 11 bins, but X has 12"):
        clustered(X, blocks[:, :, 1:])
    for shape, none in (((0, 12), np.zeros((0, 12))), ((12,), X[0].tolist()), ((), None)):
        with pytest.raises(ValueError, match=rf"blocks\[1\] has the shape {re.escape(str(shape))}, and not one block"):
            clustered(X, [blocks[0], none, *blocks[2:]])
    empty = blocks.copy()
    empty[1, 2] = 0
    with pytest.raises(ValueError, match=r"blocks\[1\]\[2\] sums to 0.*\. Leave the block out\.$"):
        clustered(X, empty)
    endless = X.astype(float)
    endless[1, 1] = np.inf
    with pytest.raises(ValueError, match=r"Input X contains inf or -inf: X\[1, 1\]"):
        clustered(endless, blocks)
    with pytest.raises(ValueError, match="blocks are exchanged by the test of a Significance, but n_clusters = 2"):
        DivergenceClustering(2).fit(X, blocks=blocks)
    with pytest.raises(ValueError, match="takes no blocks"):
        pairwise_homogeneity(X, blocks=blocks, method="chi2")


def test_too_few_blocks_are_refused_or_named():
    blocks = bursts(2, n_blocks=2)
    with pytest.raises(ValueError, match=r"too few blocks to find anything.* no p-value is below 0\.33"):
        clustered(blocks.sum(axis=1), blocks)
    with pytest.warns(UserWarning, match=r"For 1 of 1 pairs the blocks .* of the fewest blocks none is below 0\.33"):
        assert pairwise_homogeneity(blocks.sum(axis=1), blocks=blocks, random_state=0).pvalue[0, 1] >= 0.3
    counts = np.array([[900, 10], [880, 30], [20, 900], [12, 890]])
    blocks = split_into_blocks(counts, n_blocks=3)
    with pytest.warns(UserWarning, match=r"2 clusters were not split .* those of X\[0\], X\[1\] can .* below 0\.1,"):
        assert clustered(counts, blocks).labels_.tolist() == [0, 0, 1, 1]


def test_blocks_of_unequal_size_are_named():
    blocks = bursts(5)
    blocks[3] *= 3
    with pytest.warns(UserWarning, match=r"The blocks of X\[0\] hold 40 observations on average, those of X\[3\] 120"):
        clustered(blocks.sum(axis=1), blocks)
    with pytest.warns(UserWarning, match="blocks of about one size"):
        pairwise_homogeneity(blocks.sum(axis=1), blocks=blocks, n_resamples=9, random_state=0)
    by_chance = bursts(5)
    by_chance[3, 0] *= 30
    clustered(by_chance.sum(axis=1), by_chance)


def test_small_blocks_of_one_row_among_many_are_named():
    rng = np.random.default_rng(0)
    totals = rng.poisson(rng.gamma(4, 25, (60, 6))) + 1
    totals[7] = rng.poisson(10, 6) + 1
    blocks = Blocks(totals.reshape(-1, 1).astype(float), np.full(60, 6))
    with pytest.warns(UserWarning, match=r"The blocks of X\[7\] hold"):
        warn_of_sizes(blocks, names_of(None))
    warn_of_sizes(blocks.of(np.delete(np.arange(60), 7)), names_of(None))  # What is left differs by chance.


def test_weights_are_exchanged_as_counts_are():
    """Blocks need not be counts: halves of them give the same p-values."""
    blocks = bursts(5, seed=4)
    X = blocks.sum(axis=1)
    np.testing.assert_array_equal(clustered(X / 2, blocks / 2).node_pvalues_, clustered(X, blocks).node_pvalues_)


# --- Totals ---


def test_totals_that_differ_much_are_named_unless_there_are_weights():
    counts, labels = planted(16)
    first, *others = np.flatnonzero(labels == labels[1])[:12]
    counts[first] += counts[others].sum(axis=0)
    counts, labels = np.delete(counts, others, axis=0), np.delete(labels, others)
    rule = Significance(n_resamples=99, random_state=0)
    with pytest.warns(UserWarning, match=r"X\[0\] has 500 obs.* and X\[1\] has 6000.*predict.*sample_weight='counts'"):
        DivergenceClustering(rule).fit(counts)
    fitted = DivergenceClustering(rule, linkage="information").fit(counts, sample_weight="counts")
    assert len(set(zip(fitted.labels_, labels, strict=True))) == 3


@pytest.mark.parametrize(("total", "named"), [(99, False), (100, True)])
def test_totals_are_named_from_ten_times_as_many_on(total, named):
    rule = Significance(n_resamples=99, random_state=0)
    with pytest.warns(UserWarning, match=r"X\[0\] has 10 obs.* and X\[2\] has 100") if named else nullcontext():
        DivergenceClustering(rule).fit([[5, 5], [6, 6], [50, total - 50]])


def test_counts_stand_for_the_totals():
    counts, _ = planted(4)
    counts[3] *= 3
    for X in (counts, sp.csr_array(counts), counts.astype(np.float32)):
        by_name = DivergenceClustering(3, linkage="information").fit(X, sample_weight="counts")
        by_value = DivergenceClustering(3, linkage="information").fit(X, sample_weight=counts.sum(axis=1))
        np.testing.assert_array_equal(by_name.linkage_matrix_, by_value.linkage_matrix_)
        by_name, by_value = (
            MiniBatchDivergenceClustering(3, random_state=0).fit(X, sample_weight=weights)
            for weights in ("counts", counts.sum(axis=1))
        )
        np.testing.assert_array_equal(by_name.cluster_centers_, by_value.cluster_centers_)
        for function in (barycenter, mutual_information):
            by_name, by_value = (function(X, sample_weight=weights) for weights in ("counts", counts.sum(axis=1)))
            np.testing.assert_array_equal(by_name, by_value)
            assert not np.array_equal(by_name, function(X))


def test_counts_that_are_none_are_refused():
    counts, _ = planted(2)
    model = DivergenceClustering(2)
    with pytest.raises(ValueError, match=r"is not a whole number, but sample_weight='counts' weighs"):
        model.fit(counts / 7, sample_weight="counts")
    with pytest.raises(ValueError, match="sample_weight = 'totals' must be 'counts' or a vector"):
        model.fit(counts, sample_weight="totals")
    broken = counts.copy()
    broken[1] = 0
    with pytest.raises(ValueError, match=r"X\[1\] sums to 0.* It has no weight by its counts: drop it\."):
        model.fit(broken, sample_weight="counts")
    broken[1, 1] = np.nan
    with pytest.raises(ValueError, match=r"Input X contains NaN: X\[1, 1\]"):
        model.fit(broken, sample_weight="counts")
    with pytest.raises(ValueError, match="sample_weight = 'counts' needs the counts; metric='precomputed' has none"):
        DivergenceClustering(2, metric="precomputed").fit(np.zeros((3, 3)), sample_weight="counts")
