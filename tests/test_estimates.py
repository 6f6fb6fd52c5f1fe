"""Estimates of divergences, against the deletion of each observation and each block, and against simulation."""

import pickle
import re
import warnings
from bisect import bisect_left
from fractions import Fraction
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import RECORDS, random_distributions
from mpmath import mp, mpf
from scipy.optimize import brentq
from scipy.stats import binom, chi2, hypergeom, ncx2, norm
from scipy.stats import t as student

from skdiv import (
    Divergence,
    divergence_estimates,
    divergences,
    paired_divergences,
    pairwise_divergences,
    pairwise_homogeneity,
    renyi,
)
from skdiv._compute.estimates import is_kinked, is_steep
from skdiv._compute.exchange import mean_of_blocks, mean_of_counts
from skdiv._compute.jackknife import sums_of_counts
from skdiv._compute.noncentral import limits
from skdiv._divergences.terms import total_variation
from skdiv._input.blocks import Blocks

SMOOTH = [record for record in RECORDS if record.name != "total_variation"]
by_name = pytest.mark.parametrize("record", SMOOTH, ids=lambda record: record.name)


def counts(n, n_bins=6, total=400, seed=0):
    """Rows of counts of unequal totals, each bin of which has at least five."""
    rng = np.random.default_rng(seed)
    totals = total * rng.integers(1, 4, n)
    return np.array(
        [rng.multinomial(size, p) + 5 for size, p in zip(totals, rng.dirichlet(np.ones(n_bins), n), strict=True)]
    )


def sum_of_terms(record, x, y):
    return float(record.term(np.asarray(x) / np.sum(x), np.asarray(y) / np.sum(y)).sum())


def without_each(row):
    """The row without its first observation, without its second, and so on; and in which bin each was."""
    observations = np.repeat(np.arange(len(row)), row)
    for i in range(len(observations)):
        yield np.bincount(np.delete(observations, i), minlength=len(row))


def jackknife(statistic, x, y, left_of_x, left_of_y):
    """Bias and variance, from the textbook: of two samples the two are added up."""
    value, bias, variance = statistic(x, y), 0.0, 0.0
    for values in (
        np.array([statistic(row, y) for row in left_of_x]),
        np.array([statistic(x, row) for row in left_of_y]),
    ):
        n = len(values)
        bias += (n - 1) * (values.mean() - value)
        variance += (n - 1) / n * ((values - values.mean()) ** 2).sum()
    return bias, variance


@by_name
def test_bias_and_standard_error_are_those_of_deleting_each_observation(record):
    x, y = np.array([9, 4, 3, 6]), np.array([5, 7, 3, 12])
    bias, _ = jackknife(lambda a, b: sum_of_terms(record, a, b), x, y, [*without_each(x)], [*without_each(y)])
    _, variance = jackknife(record, x, y, [*without_each(x)], [*without_each(y)])
    with pytest.warns(UserWarning, match="For 1 of 1 pairs the counts are too few"):
        result = divergence_estimates([x], [y], record)
    np.testing.assert_allclose(result.estimate, record(x, y), rtol=1e-12)
    unbiased = sum_of_terms(record, x, y) - bias
    np.testing.assert_allclose(result.corrected, record.finish(np.array(max(unbiased, 0.0))), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(result.standard_error, np.sqrt(variance), rtol=1e-9)


@pytest.mark.parametrize("name", ["js_divergence", "kl", "hellinger"])
@pytest.mark.parametrize(
    ("x", "y", "larger"),
    [([1, 1, 1, 4, 3, 4, 2], [8, 9, 6, 7, 11, 10, 11], 1), ([2, 5, 3, 4, 2, 2, 4], [10, 3, 3, 9, 6, 8, 4], 0)],
)
def test_the_variance_is_the_larger_of_those_of_the_sum_and_of_the_sum_without_bias(name, x, y, larger):
    record, x, y = divergences()[name], np.array(x), np.array(y)

    def statistic(a, b):
        return sum_of_terms(record, a, b)

    def corrected(a, b):
        return statistic(a, b) - jackknife(statistic, a, b, [*without_each(a)], [*without_each(b)])[0]

    expected = [jackknife(each, x, y, [*without_each(x)], [*without_each(y)])[1] for each in (statistic, corrected)]
    found = sums_of_counts(record, x[np.newaxis].astype(float), y[np.newaxis].astype(float), 0.0).variance[0]
    np.testing.assert_allclose(found, max(expected), rtol=1e-9)
    assert expected[larger] > 1.5 * expected[1 - larger]


def test_a_pseudocount_is_added_after_an_observation_has_been_deleted():
    record = divergences()["kl"]
    x, y = np.array([9, 0, 3, 6]), np.array([5, 7, 0, 2])

    def statistic(a, b):
        return sum_of_terms(record, a + 0.5, b + 0.5)

    bias, variance = jackknife(statistic, x, y, [*without_each(x)], [*without_each(y)])
    with pytest.warns(UserWarning, match="too few"), pytest.warns(UserWarning, match="may be infinite"):
        result = divergence_estimates([x], [y], "kl", pseudocount=0.5)
    np.testing.assert_allclose(result.corrected, statistic(x, y) - bias, rtol=1e-9)
    np.testing.assert_allclose(result.standard_error, np.sqrt(variance), rtol=1e-9)


@by_name
def test_blocks_are_deleted_one_at_a_time(record):
    rng = np.random.default_rng(0)
    blocks, of_y = [rng.poisson(6, (size, 4)) + 1 for size in (6, 8)], [rng.poisson(4, (7, 4)) + 1]
    X, Y = np.array([each.sum(axis=0) for each in blocks]), of_y[0].sum(axis=0, keepdims=True)
    blocks, of_y, X, Y = [50 * each for each in blocks], [50 * of_y[0]], 50 * X, 50 * Y
    result = divergence_estimates(X, Y, record, blocks=blocks, Y_blocks=of_y)
    for i in range(2):
        left = [X[i] - block for block in blocks[i]], [Y[0] - block for block in of_y[0]]
        bias, variance = jackknife(lambda a, b: sum_of_terms(record, a, b), X[i], Y[0], *left)
        _, of_value = jackknife(record, X[i], Y[0], *left)
        total = sum_of_terms(record, X[i], Y[0])
        np.testing.assert_allclose(result.corrected[i], record.finish(np.array([max(total - bias, 0.0)])), rtol=1e-8)
        np.testing.assert_allclose(result.standard_error[i], np.sqrt(of_value), rtol=1e-9)
        quantile = student.ppf(0.975, min(len(blocks[i]), 7) - 1)
        exchanged = mean_of_blocks(record, *(Blocks(each, np.array([len(each)])) for each in (blocks[i], of_y[0])), 0.0)
        ends = limits(*(np.array([each]) for each in (total, bias, variance, 4, quantile)), exchanged)
        for end, found in zip(ends, result.confidence_interval, strict=True):
            np.testing.assert_allclose(found[i], np.minimum(record.finish(end), record.bound), rtol=1e-6)


@pytest.mark.parametrize(
    ("freedom", "at", "tolerance"), [(4, 1.0, 4e-3), (4, 9.0, 3e-3), (19, 40.0, 1e-3), (49, 3e3, 1e-4)]
)
def test_the_limits_are_those_of_the_noncentrality(freedom, at, tolerance):
    """A sum c x has the bias c ν and the variance 4 c (c x): the χ² at the limits is below x by chance."""
    c, x = 0.01, freedom + at
    low, high = limits(*(np.array([each]) for each in (c * x, c * freedom, 4 * c * c * x, 99, norm.ppf(0.975))))
    assert abs(ncx2.cdf(x, freedom, high[0] / c) - 0.025) < tolerance
    if low[0] > 0:
        assert abs(ncx2.cdf(x, freedom, low[0] / c) - 0.975) < tolerance
    else:
        assert chi2.cdf(x, freedom) < 0.975 + tolerance


def test_far_from_zero_the_limits_are_those_of_a_normal_variable():
    low, high = limits(*(np.array([each]) for each in (0.5, 0.001, 1e-6, 5, norm.ppf(0.975))))
    np.testing.assert_allclose([low[0], high[0]], 0.499 + 1.96e-3 * np.array([-1, 1]), atol=1e-5)


def test_limits_are_ordered_and_contain_the_sum_without_bias():
    rng = np.random.default_rng(0)
    total, bias, variance = rng.lognormal(-4, 2, (3, 400))
    low, high = limits(total, bias, variance, np.full(400, 9), np.full(400, 1.96))
    assert (low >= 0).all()
    assert (low <= np.maximum(total - bias, 0)).all()
    assert (high >= np.maximum(total - bias, 0)).all()


@pytest.mark.parametrize("sign", [-1, 0])
def test_a_bias_below_zero_moves_the_sum(sign):
    low, high = limits(*(np.array([each]) for each in (0.2, sign * 0.1, 1e-4, 5, 1.96)))
    assert low[0] < 0.2 - sign * 0.1 < high[0]


@pytest.mark.filterwarnings("ignore:For .* the counts are too few")
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_matrix_and_pairs_are_about_the_same_divergences(container):
    X, Y = counts(40), counts(40, seed=1)
    matrix = divergence_estimates(container(X), container(Y), "kl", base=2)
    paired = divergence_estimates(container(X), container(Y), "kl", base=2, paired=True)
    np.testing.assert_allclose(matrix.estimate, pairwise_divergences(X, Y, "kl", base=2), rtol=1e-9)
    np.testing.assert_allclose(paired.estimate, paired_divergences(X, Y, "kl", base=2), rtol=1e-9)
    for one, other in zip([*matrix[:3], *matrix[3]], [*paired[:3], *paired[3]], strict=True):
        np.testing.assert_allclose(np.diagonal(one), other, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:For .* the counts are too few")
@pytest.mark.parametrize("name", ["js_distance", "jeffreys", "kl"])
def test_a_collection_with_itself_is_the_one_with_a_copy_but_for_the_diagonal(name):
    X = counts(40)
    of_itself, of_copy = divergence_estimates(X, metric=name), divergence_estimates(X, X.copy(), name)
    off = ~np.eye(40, dtype=bool)
    for one, other in zip([*of_itself[:3], *of_itself[3]], [*of_copy[:3], *of_copy[3]], strict=True):
        np.testing.assert_allclose(one[off], other[off], rtol=1e-7, atol=1e-12)
        np.testing.assert_array_equal(np.diagonal(one), 0)
        if name != "kl":
            np.testing.assert_array_equal(one, one.T)


@pytest.mark.exhaustive
def test_the_same_bits_for_any_number_of_workers(monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    X = counts(70)
    blocks = np.stack([X - 3, np.full(X.shape, 1), np.full(X.shape, 2)], axis=1)
    for arguments in ({}, {"metric": "kl"}, {"Y": X[::-1], "paired": True}, {"blocks": blocks}):
        results = []
        for n_jobs in (1, 2):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                results.append(divergence_estimates(X, n_jobs=n_jobs, **arguments))
        for one, other in zip([*results[0][:3], *results[0][3]], [*results[1][:3], *results[1][3]], strict=True):
            np.testing.assert_array_equal(one, other)


def test_empty_bins_and_sparse_storage_change_nothing():
    X = counts(5)
    wide = np.zeros((5, 60), dtype=int)
    wide[:, ::10] = X
    expected = divergence_estimates(X)
    for rows in (wide, sp.csr_array(wide), sp.csc_matrix(wide)):
        for one, other in zip(divergence_estimates(rows)[:3], expected[:3], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9)


def test_rows_that_are_as_near_as_chance_allows_have_the_corrected_value_0_and_an_interval_from_0():
    result = divergence_estimates([[200, 300, 500]], [[201, 299, 500]])
    assert result.corrected[0, 0] == 0 == result.confidence_interval.low[0, 0]
    equal = divergence_estimates([[200, 300, 500]], [[400, 600, 1000]])
    assert equal.estimate[0, 0] == 0 == equal.confidence_interval.low[0, 0]
    for each in (result, equal):
        # What chance leaves is of the order of (1/N + 1/M) (n_bins − 1) / 8.
        assert 0.01 < each.confidence_interval.high[0, 0] < 0.1


def test_rows_of_one_bin_and_rows_that_share_none_are_at_the_ends():
    with pytest.warns(UserWarning, match="For 1 of 3 pairs the counts are too few.*two bins"):
        result = divergence_estimates([[400, 0], [900, 0], [0, 500]])
    assert result.estimate[0, 1] == result.confidence_interval.high[0, 1] == 0
    ends = result.confidence_interval.high[0, 2], result.corrected[0, 2]
    np.testing.assert_allclose(ends, np.sqrt(np.log(2)))
    assert max(ends) <= np.sqrt(np.log(2))
    assert 0.83 < result.confidence_interval.low[0, 2] < np.sqrt(np.log(2))
    assert result.standard_error[0, 2] == 0


@pytest.mark.parametrize("name", ["kl", "jeffreys", "chi2", "renyi"])
@pytest.mark.parametrize("y", [[200, 300, 0], [200, 300, 1]])
def test_what_is_infinite_or_would_be_without_an_observation_is_unknown(name, y):
    with pytest.warns(UserWarning, match=f"For 1 of 2 pairs '{name}' is infinite, or would be .* a bounded metric"):
        result = divergence_estimates([[200, 200, 100]], [y, [200, 200, 100]], name)
    assert np.isinf(result.estimate[0, 0]) == (y[-1] == 0)
    assert np.isinf(result.standard_error[0, 0])
    assert (result.confidence_interval.low[0, 0], result.confidence_interval.high[0, 0]) == (0, np.inf)
    assert not np.isnan([*result[:3], *result[3]]).any()


@pytest.mark.parametrize("name", ["kl", "jeffreys", "chi2", "renyi"])
def test_a_pseudocount_gives_no_upper_limit_where_the_truth_may_be_infinite(name):
    X = [[200, 200, 100]]
    with pytest.warns(UserWarning, match=f"For 1 of 1 pairs '{name}' may be infinite, for it is without the pseudoc"):
        result = divergence_estimates(X, [[200, 300, 0]], name, pseudocount=0.5)
    low, high = result.confidence_interval
    assert 0 < low[0, 0] < result.estimate[0, 0] < high[0, 0] == np.inf
    blocks = {"blocks": np.full((1, 8, 3), [25, 25, 12]), "Y_blocks": np.full((1, 8, 3), [25, 40, 0])}
    with pytest.warns(UserWarning, match="may be infinite"):
        result = divergence_estimates([[200, 200, 96]], [[200, 320, 0]], name, pseudocount=0.5, **blocks)
    assert result.confidence_interval.high[0, 0] == np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = divergence_estimates(X, [[200, 300, 1]], name, pseudocount=0.5)
    assert np.isfinite(result.confidence_interval.high[0, 0])


# --- The mean of the sum when observations are exchanged ---


def mean_over_exchanges(term, x, y):
    """The mean over all ways to deal out the observations, one after another."""
    of_bins = np.repeat(np.arange(len(x)), np.add(x, y))
    dealt = []
    for first in combinations(range(len(of_bins)), sum(x)):
        row = np.bincount(of_bins[list(first)], minlength=len(x))
        dealt.append(term(row / sum(x), (np.add(x, y) - row) / sum(y)).sum())
    assert len(dealt) == comb(len(of_bins), sum(x))
    return np.mean(dealt)


@pytest.mark.parametrize("record", [each for each in SMOOTH if each.name in ("js_distance", "hellinger", "renyi(0.5)")])
@pytest.mark.parametrize(("x", "y"), [([3, 1, 0], [2, 2, 1]), ([0, 4], [5, 1]), ([1, 1, 1, 0], [3, 4, 0, 1])])
def test_the_mean_when_observations_are_exchanged_is_that_of_all_exchanges(record, x, y):
    rows = (np.array([each], dtype=float) for each in (x, y))
    np.testing.assert_allclose(mean_of_counts(record, *rows, 0.0), mean_over_exchanges(record.term, x, y), rtol=1e-12)


def hypergeometric_mean(record, x, y, c):
    """By SciPy's distribution, over the counts for which the term is finite, and is so without two observations."""
    N, M, K = x.sum(), y.sum(), len(x)

    def terms(a, b):
        return record.term((np.maximum(a, 0) + c) / (N + c * K), (np.maximum(b, 0) + c) / (M + c * K))

    mean = 0.0
    for s in x + y:
        k = np.arange(max(0, s - M), min(s, N) + 1)
        finite = np.isfinite(terms(k, s - k))
        if not c and np.isinf(record.term(np.array([0, 0.5]), np.array([0.5, 0]))).any():
            finite &= np.isfinite(terms(k - 2, s - k)) & np.isfinite(terms(k, s - k - 2))
        if finite.any():
            share = hypergeom.pmf(k, N + M, s, N)[finite]
            mean += (share * terms(k, s - k)[finite]).sum() / share.sum()
    return mean


@by_name
@pytest.mark.parametrize("c", [0.0, 0.5])
def test_the_mean_when_observations_are_exchanged_is_hypergeometric(record, c):
    x, y = np.array([9, 0, 1, 30, 60, 14]), np.array([6, 1, 2, 170, 300, 90])
    small = x < 10, x >= 10
    with np.errstate(all="ignore"):
        for some, tolerance in zip(small, (1e-5, 0.03), strict=True):
            for a, b in ((x, y), (y, x)):
                a, b = np.append(a[some], 70), np.append(b[some], 110)
                found = mean_of_counts(record, *(each[np.newaxis].astype(float) for each in (a, b)), c)
                np.testing.assert_allclose(found, hypergeometric_mean(record, a, b, c), rtol=tolerance)


def test_the_mean_when_blocks_are_exchanged_is_about_that_of_all_exchanges():
    rng, record = np.random.default_rng(0), divergences()["js_divergence"]
    blocks = rng.poisson(2, (7, 5)) + rng.multinomial(20, np.full(5, 0.2), 7) * rng.integers(0, 2, (7, 1)) + 1
    sums = []
    for first in combinations(range(7), 3):
        row = blocks[list(first)].sum(axis=0)
        sums.append(sum_of_terms(record, row, blocks.sum(axis=0) - row))
    found = mean_of_blocks(record, Blocks(blocks[:3], np.array([3])), Blocks(blocks[3:], np.array([4])), 0.0)[0]
    assert abs(found - np.mean(sums)) < 3 * np.std(sums) / np.sqrt(99)
    again = mean_of_blocks(record, Blocks(blocks[:3], np.array([3])), Blocks(blocks[3:], np.array([4])), 0.0)[0]
    assert found == again


def rare_bins(n, share, *, n_rare=300, total=2000):
    """Rows of one distribution of ten common bins and many rare ones."""
    p = np.r_[np.full(10, (1 - share) / 10), np.full(n_rare, share / n_rare)]
    return np.random.default_rng(0).multinomial(total, p, size=n)


@by_name
@pytest.mark.parametrize("rows", [[[999, 1], [1000, 0]], [[1000, 0], [998, 2]], rare_bins(2, 0.02), rare_bins(2, 0.05)])
def test_intervals_of_rows_that_chance_explains_begin_at_0(record, rows):
    for pseudocount in (0.0, 0.5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            low, _ = divergence_estimates(rows[:1], rows[1:], record, pseudocount=pseudocount).confidence_interval
        assert low[0, 0] == 0
    assert pairwise_homogeneity(rows, random_state=0, n_resamples=99).pvalue[0, 1] > 0.05


@pytest.mark.parametrize("name", ["js_distance", "hellinger"])
def test_intervals_of_equal_rates_of_rare_events_hold_0_or_are_warned_about(name):
    rng = np.random.default_rng(0)
    for rate, size in ((0.001, 1000), (0.02, 100), (0.005, 1000), (0.02, 1000)):
        X, Y = (rng.multinomial(size, [1 - rate, rate], size=500) for _ in range(2))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            low = divergence_estimates(X, Y, name, paired=True).confidence_interval.low
        assert (low == 0).mean() >= (0.88 if caught else 0.93)
        assert caught or rate * size >= 20


def test_intervals_of_blocks_in_bursts_hold_0():
    rng = np.random.default_rng(0)
    shape, p = (60, 12), 1 / np.arange(1, 101) / (1 / np.arange(1, 101)).sum()
    rows = []
    for _ in range(2):
        blocks = rng.multinomial(25, p, shape)
        np.add.at(blocks, (*np.indices(shape), rng.choice(100, shape, p=p)), 25)
        rows.append(blocks)
    sums = [each.sum(axis=1) for each in rows]
    interval = divergence_estimates(*sums, paired=True, blocks=rows[0], Y_blocks=rows[1]).confidence_interval
    assert (interval.low == 0).mean() >= 0.92


def test_few_observations_that_decide_are_warned_about():
    divergence_estimates([[990, 10]], [[970, 30]])
    with pytest.warns(UserWarning, match="For 1 of 1 pairs.*has to depend on 10 observations"):
        divergence_estimates([[999, 1]], [[995, 5]])
    one_bin = [[4000, 4]], [[3900, 104]]
    divergence_estimates(*one_bin)
    with pytest.warns(UserWarning, match="For 1 of 1 pairs.* not mostly on a bin with fewer than 5 in a row"):
        divergence_estimates(*one_bin, "hellinger")
    divergence_estimates([[4000, 5]], [[3900, 104]], "hellinger")


@pytest.mark.parametrize("name", ["js_divergence", "kl", "hellinger"])
@pytest.mark.parametrize("total", [10**5, 10**7, 10**9])
def test_bias_and_variance_of_many_observations_are_those_of_exact_arithmetic(name, total):
    """By 60 digits, because the effect of one observation is far below the rounding of a divergence."""
    parts = np.array([[0.5, 0.3, 0.2], [0.5001, 0.2998, 0.2001]])
    x, y = (np.round(each * total).astype(np.int64) for each in parts)

    def term(p, q):
        if name == "hellinger":
            return (mp.sqrt(p) - mp.sqrt(q)) ** 2 / 2
        if name == "kl":
            return p * mp.log(p / q)
        return (p * mp.log(2 * p / (p + q)) + q * mp.log(2 * q / (p + q))) / 2

    def statistic(a, b):
        return sum(
            term(mpf(int(n)) / mpf(int(sum(a))), mpf(int(m)) / mpf(int(sum(b)))) for n, m in zip(a, b, strict=True)
        )

    with mp.workdps(60):
        value, bias, variance = statistic(x, y), mpf(0), mpf(0)
        for row, of in ((x, lambda left: statistic(left, y)), (y, lambda left: statistic(x, left))):
            n = mpf(int(row.sum()))
            values = [of(row - np.eye(3, dtype=np.int64)[k]) for k in range(3)]
            shares = [mpf(int(each)) / n for each in row]
            mean = sum(share * each for share, each in zip(shares, values, strict=True))
            bias += (n - 1) * (mean - value)
            variance += (n - 1) * sum(share * (each - mean) ** 2 for share, each in zip(shares, values, strict=True))
    sums = sums_of_counts(divergences()[name], x[np.newaxis].astype(float), y[np.newaxis].astype(float), 0.0)
    deviation = float(mp.sqrt(variance))
    assert abs(sums.bias[0] - float(bias)) < 0.01 * deviation
    np.testing.assert_allclose(np.sqrt(sums.variance[0]), deviation, rtol=0.01)


def covered(record, p, q, sizes, *, n_pairs=400, seed=0):
    """The share of intervals that hold the true divergence, and how far the mean estimates are off."""
    rng = np.random.default_rng(seed)
    X, Y = (rng.multinomial(size, each, size=n_pairs) for size, each in zip(sizes, (p, q), strict=True))
    result = divergence_estimates(X, Y, record, paired=True)
    low, high = result.confidence_interval
    true = record.finish(record.term(p, q).sum())
    return ((low <= true) & (true <= high)).mean(), result.estimate.mean() - true, result.corrected.mean() - true


@pytest.mark.filterwarnings("ignore:For .* the counts are too few")
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("name", ["js_distance", "js_divergence", "jeffreys"])
def test_nineteen_of_twenty_intervals_hold_the_truth(name, share):
    p, r = np.random.default_rng(1).dirichlet(np.ones(20), 2) * 0.9 + 0.005
    found, off, corrected_off = covered(divergences()[name], p, (1 - share) * p + share * r, (2000, 3000))
    assert 0.92 <= found <= 0.995
    assert abs(corrected_off) < off or abs(corrected_off) < 0.002


def test_the_case_of_the_issue_is_covered():
    """A hundred observations over fifty skewed bins: the plug-in is two and a half times the truth."""
    rng = np.random.default_rng(0)
    p, r = rng.dirichlet(np.full(50, 0.5), 2)
    q = 0.7 * p + 0.3 * r
    with pytest.warns(UserWarning, match="For 400 of 400 pairs the counts are too few"):
        found, off, corrected_off = covered(divergences()["js_divergence"], p, q, (100, 100))
    assert found > 0.8
    assert abs(corrected_off) < 0.3 * off


def test_overdispersed_blocks_are_covered_where_observations_are_not():
    rng, record = np.random.default_rng(0), divergences()["js_divergence"]
    p, q = random_distributions(2, 8)
    true = record(p, q)
    blocks = np.array([rng.multinomial(50, rng.dirichlet(20 * each, (200, 12))) for each in (p, q)])
    X, Y = blocks.sum(axis=2)
    hits = []
    for arguments in ({"blocks": blocks[0], "Y_blocks": blocks[1]}, {}):
        low, high = divergence_estimates(X, Y, record, paired=True, **arguments).confidence_interval
        hits.append(((low <= true) & (true <= high)).mean())
    assert hits[0] >= 0.92
    assert hits[1] < 0.85


def test_a_level_of_less_is_a_narrower_interval():
    X = counts(3)
    wide, narrow = (divergence_estimates(X, confidence_level=level).confidence_interval for level in (0.99, 0.8))
    off = ~np.eye(3, dtype=bool)
    assert (wide.low[off] < narrow.low[off]).all()
    assert (narrow.high[off] < wide.high[off]).all()


def test_the_fewest_observations_depend_on_bins_and_slope():
    X = np.array([[250, 240], [260, 250]])
    divergence_estimates(X)
    with pytest.warns(
        UserWarning, match="For 1 of 1 pairs the counts are too few.* needs 20 observations.* 1000 in any"
    ):
        divergence_estimates(X, metric="hellinger")
    divergence_estimates(4 * X, metric="hellinger")
    even = np.full((3, 30), 5)
    divergence_estimates(even)
    even[2, 0] = 4
    with pytest.warns(UserWarning, match="For 2 of 3 pairs"):
        divergence_estimates(even)
    with pytest.warns(UserWarning, match="For 4 of 6 pairs"):
        divergence_estimates(even, metric="jeffreys", Y=even[1:])
    divergence_estimates([[100, 100]], [[900, 1099]])
    with pytest.warns(UserWarning, match="For 1 of 1 pairs.* 1000 beside a row of 10 times"):
        divergence_estimates([[100, 100]], [[900, 1100]])
    divergence_estimates([[500, 500]], [[90_000, 110_000]])
    blocks = np.full((2, 5, 4), 30)
    with pytest.warns(UserWarning, match="For 1 of 1 pairs.* of blocks six"):
        divergence_estimates(blocks.sum(axis=1), blocks=blocks)


def test_terms_are_known_by_their_shape():
    for record in RECORDS:
        alpha = float(record.name[6:-1]) if record.name.startswith("renyi(") else 2
        assert is_kinked(record.term) == (record.name == "total_variation")
        assert is_steep(record.term) == (record.name in ("hellinger", "bhattacharyya") or alpha < 1)
    assert is_steep(renyi(0.8).term)
    assert not is_kinked(lambda p, q: (p - q) ** 2)


def test_results_are_pickled():
    result = pickle.loads(pickle.dumps(divergence_estimates(counts(3))))
    assert result.confidence_interval.low.shape == (3, 3)


def test_exact_fractions_of_the_smallest_case():
    """Squared Euclidean distance of rows of 3 and 4 observations, by hand."""
    square = Divergence(name="square", term=lambda p, q: (p - q) ** 2, symmetric=True)
    x, y = (2, 1), (2, 2)

    def distance(a, b):
        return 2 * (Fraction(a[0], sum(a)) - Fraction(b[0], sum(b))) ** 2

    of_x = (2 * distance((1, 1), y) + distance((2, 0), y)) / 3
    of_y = (distance(x, (1, 2)) + distance(x, (2, 1))) / 2
    expected = distance(x, y) - 2 * (of_x - distance(x, y)) - 3 * (of_y - distance(x, y))
    with pytest.warns(UserWarning, match="too few"):
        result = divergence_estimates([x], [y], square)
    np.testing.assert_allclose(result.corrected[0, 0], max(float(expected), 0), atol=1e-12)
    np.testing.assert_allclose(result.estimate[0, 0], float(distance(x, y)), rtol=1e-12)


def test_refusals():
    X = counts(3)
    with pytest.raises(ValueError, match="metric 'total_variation' has a kink where p = q.*'hellinger'"):
        divergence_estimates(X, metric="total_variation")
    with pytest.raises(ValueError, match="metric 'mine' has a kink"):
        divergence_estimates(X, metric=Divergence(name="mine", term=total_variation, symmetric=True))
    with pytest.raises(ValueError, match=r"X\[1, 0\] = 0.5 is not a whole number, but an interval needs counts"):
        divergence_estimates([[3, 4], [0.5, 3]])
    with pytest.raises(ValueError, match=r"Y\[1\] has 2 observations, fewer than 3"):
        divergence_estimates(X, [[9] * 6, [1, 1, 0, 0, 0, 0]])
    with pytest.raises(ValueError, match=r"X\[0\] has 2199023255552 observations, more than 10\*\*9.*pairwise"):
        divergence_estimates([[2**40, 2**40], [1, 2]])
    with pytest.raises(ValueError, match=r"X\[1\] sums to 0"):
        divergence_estimates([[3, 4], [0, 0]])
    with pytest.raises(ValueError, match="but there is no Y"):
        divergence_estimates(X, paired=True)
    with pytest.raises(ValueError, match="one row of Y for each of the 3 rows of X, but Y has 2 rows"):
        divergence_estimates(X, X[:2], paired=True)
    with pytest.raises(ValueError, match="confidence_level == 1"):
        divergence_estimates(X, confidence_level=1.0)
    with pytest.raises(ValueError, match="has no logarithm"):
        divergence_estimates(X, metric="hellinger", base=2)
    with pytest.raises(ValueError, match="of all rows or of none"):
        divergence_estimates(X, X, blocks=[X, X, X])
    with pytest.raises(ValueError, match="of all rows or of none"):
        divergence_estimates(X, Y_blocks=[X, X, X])
    with pytest.raises(ValueError, match=r"X\[0\] has one block"):
        divergence_estimates(X, blocks=X[:, np.newaxis])
    blocks = [np.vstack([row, row]) for row in X]
    with pytest.raises(ValueError, match=r"Y\[0, \d\] = .*blocks of this row, Y_blocks\[0\], sum to"):
        divergence_estimates(2 * X, X, blocks=blocks, Y_blocks=blocks)
    for not_blocks, message in ((X, "has the shape"), (blocks[:2], "has blocks of 2 rows"), ("X", "is of the type")):
        with pytest.raises((ValueError, TypeError), match=f"^Y_blocks {message}"):
            divergence_estimates(2 * X, 2 * X, blocks=blocks, Y_blocks=not_blocks)
    with pytest.raises(ValueError, match=r"Y_blocks\[0\]\[0, 0\] = -"):
        divergence_estimates(2 * X, 2 * X, blocks=blocks, Y_blocks=[-each for each in blocks])


# --- What docs/how_large.md says ---

MEANING = re.search(
    r"<!-- meaning -->\n.+?\n.+?\n(.+?)<!-- /meaning -->",
    (Path(__file__).parents[1] / "docs" / "how_large.md").read_text(encoding="utf-8"),
    flags=re.DOTALL,
)[1]


def binary_entropy(error):
    return -(error * np.log2(error) + (1 - error) * np.log2(1 - error))


def error_of_best_guess(p, q, n):
    """Of n draws from two bins, whose number in the first one tells all."""
    k = np.arange(n + 1)
    return np.minimum(binom.pmf(k, n, p), binom.pmf(k, n, q)).sum() / 2


def draws_needed(p, q, error=0.05):
    """More draws never tell less, so the number is found by bisection."""
    return 1 + bisect_left(range(1, 5000), True, key=lambda n: error_of_best_guess(p, q, n) <= error)


def test_the_jensen_shannon_divergence_is_the_information_of_a_draw_about_the_coin():
    for p, q in random_distributions(20, 6).reshape(10, 2, 6):
        joint = np.array([p, q]) / 2
        expected = (joint * np.log2(joint / (joint.sum(axis=0) / 2))).sum()
        np.testing.assert_allclose(divergences()["js_divergence"](p, q, base=2), expected, rtol=1e-12)


def test_the_total_variation_lies_between_its_bounds():
    P = np.vstack([random_distributions(40, 8, zeros=0.4), np.eye(8)[:2], [[0.5, 0.5, 0, 0, 0, 0, 0, 0]]])
    bits, distance, h, variation = (
        pairwise_divergences(P, metric=name, base=2 if name == "js_divergence" else None)
        for name in ("js_divergence", "js_distance", "hellinger", "total_variation")
    )
    tiny = 1e-12
    assert (bits <= variation + tiny).all()
    assert (variation <= np.sqrt(2 * bits * np.log(2)) + tiny).all()
    np.testing.assert_allclose(np.sqrt(2) * distance, np.sqrt(2 * bits * np.log(2)), atol=1e-9)
    assert (h**2 <= variation + tiny).all()
    assert (variation <= h * np.sqrt(2 - h**2) + tiny).all()
    assert (bits * np.log(2) <= h**2 + tiny).all()  # term by term, so that sum √(pq) is at most 1 − J ln 2


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.8), (0.1, 0.3), (0.02, 0.5), (0.0, 0.4), (0.3, 0.36), (0.9, 0.05)])
def test_the_draws_that_tell_two_coins_apart_lie_between_the_bounds(p, q):
    needed, rows = draws_needed(p, q), ([p, 1 - p], [q, 1 - q])
    bits = divergences()["js_divergence"](*rows, base=2)
    assert (1 - binary_entropy(0.05)) / bits <= needed <= np.ceil(np.log(0.1) / np.log1p(-bits * np.log(2)))
    apart = divergences()["bhattacharyya"](*rows)
    assert np.ceil(-np.log(4 * 0.05 * 0.95) / (2 * apart)) <= needed <= np.ceil(-np.log(2 * 0.05) / apart)
    assert error_of_best_guess(p, q, 1) == pytest.approx((1 - abs(p - q)) / 2)


def test_where_the_divergence_is_small_it_takes_two_draws_for_each_bit():
    for p, q in ((0.3, 0.36), (0.5, 0.55), (0.1, 0.13)):
        bits = divergences()["js_divergence"]([p, 1 - p], [q, 1 - q], base=2)
        assert draws_needed(p, q) == pytest.approx(norm.isf(0.05) ** 2 / (2 * np.log(2) * bits), rel=0.05)
    assert norm.isf(0.05) ** 2 / (2 * np.log(2)) == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize("line", MEANING.strip().splitlines())
def test_the_table_of_meanings_is_that_of_the_formulas(line):
    bits, distance, variation, right, draws, small = (cell.strip() for cell in line.split("|")[1:-1])
    bits = float(bits)
    at_most = brentq(lambda v: 1 - binary_entropy((1 - v) / 2) - bits, 1e-9, 1 - 1e-12)
    low, high = variation.split(" to ")
    assert float(low) == bits
    assert f"{at_most:.3f}" == f"{float(high):.3f}"
    assert float(distance) == pytest.approx(np.sqrt(bits * np.log(2)), abs=6e-4)
    guesses = [float(each) for each in right.removesuffix(" %").split(" to ")]
    np.testing.assert_allclose(guesses, [50 * (1 + bits), 50 * (1 + at_most)], atol=0.051)
    fewest = (1 - binary_entropy(0.05)) / bits, np.log(0.1) / np.log1p(-bits * np.log(2))
    assert draws == " to ".join(f"{np.ceil(each):,.0f}" for each in fewest)
    if small:
        about = norm.isf(0.05) ** 2 / (2 * np.log(2) * bits)
        assert float(small.replace(",", "")) == pytest.approx(about, rel=0.01)
