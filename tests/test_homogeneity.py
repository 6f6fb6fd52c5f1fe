"""Tests of pairs of rows, against SciPy's test of one table and against exact enumeration."""

import re
from itertools import combinations, product
from math import comb, prod

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from conftest import random_distributions
from joblib import parallel_config
from mpmath import mp, mpf
from scipy.special import xlogy
from scipy.stats import chi2_contingency, false_discovery_control, hypergeom, kstest
from scipy.stats.contingency import expected_freq

from skdiv import pairwise_divergences, pairwise_homogeneity

pytestmark = pytest.mark.usefixtures("kernel")


def counts(n, n_bins, mean=30, seed=0):
    return np.random.default_rng(seed).poisson(mean, (n, n_bins))


@pytest.mark.sampled
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix, sp.coo_matrix])
@pytest.mark.parametrize("n", [2, 30, 300])
def test_chi2_is_scipys_test_of_each_pair(container, n):
    X = counts(n, 6)
    result = pairwise_homogeneity(container(X), method="chi2")
    assert result.statistic.shape == result.pvalue.shape == (n, n)
    for i, j in np.random.default_rng(1).integers(0, n, (60, 2)):
        if i != j:
            expected = chi2_contingency(X[[i, j]], correction=False, lambda_="log-likelihood")
            np.testing.assert_allclose(result.statistic[i, j], expected.statistic, rtol=1e-9)
            np.testing.assert_allclose(result.pvalue[i, j], expected.pvalue, rtol=1e-8)
    for values, diagonal in zip(result, (0, 1), strict=True):
        np.testing.assert_array_equal(values, values.T)
        np.testing.assert_array_equal(np.diagonal(values), diagonal)


def test_the_statistic_is_the_divergence_of_rows_of_one_size():
    X = np.round(1000 * random_distributions(20, 9)).astype(int)
    X[:, 0] += 2000 - X.sum(axis=1)
    expected = 2 * 4000 * pairwise_divergences(X, metric="js_divergence")
    statistic = pairwise_homogeneity(X, n_resamples=1, random_state=0).statistic
    np.testing.assert_allclose(statistic, expected, rtol=1e-9, atol=1e-12)


def test_permutation_is_fishers_exact_distribution():
    """Two bins: the first count is hypergeometric, and so is every p-value."""
    X = np.array([[12, 5], [6, 11]])
    total, in_first, n = 34, 18, 17
    possible = np.arange(1, 18)

    def statistic(first):
        return chi2_contingency([[first, n - first], [18 - first, n - 18 + first]], correction=False,
                                lambda_="log-likelihood").statistic  # fmt: skip

    observed = statistic(12)
    exact = sum(hypergeom.pmf(k, total, in_first, n) for k in possible if statistic(k) >= observed - 1e-9)
    pvalue = pairwise_homogeneity(X, n_resamples=20_000, random_state=0).pvalue[0, 1]
    assert abs(pvalue - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4


def test_tables_that_differ_from_the_observed_by_rounding_alone_count_as_extreme():
    """The counts in any order have one statistic, whose sum is rounded differently; all tables give the p-value."""
    X = np.array([[4, 3, 2, 1, 0], [0, 1, 2, 3, 4]])

    def statistic(first):
        return sum(xlogy(k, k) + xlogy(4 - k, 4 - k) for k in first)

    tables = [first for first in product(range(5), repeat=5) if sum(first) == 10]
    extreme = [first for first in tables if statistic(first) >= statistic(X[0]) - 1e-9]
    exact = sum(prod(comb(4, k) for k in first) for first in extreme) / comb(20, 10)
    pvalue = pairwise_homogeneity(X, n_resamples=20_000, random_state=0).pvalue[0, 1]
    assert abs(pvalue - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000)


def test_permutation_is_uniform_where_chi2_is_not():
    """Thirty observations in fifty skewed bins."""
    rng = np.random.default_rng(0)
    X = rng.multinomial(30, rng.dirichlet(np.full(50, 0.5)), size=250)
    pairs = np.arange(0, 250, 2), np.arange(1, 250, 2)
    with pytest.warns(UserWarning, match=r"For \d+ of 31125 pairs an expected count is below 5"):
        by_chi2 = pairwise_homogeneity(X, method="chi2").pvalue[pairs]
    by_permutation = np.array(
        [
            pairwise_homogeneity(X[[i, j]], n_resamples=199, random_state=i).pvalue[0, 1]
            for i, j in zip(*pairs, strict=True)
        ]
    )
    assert (by_permutation <= 0.05).mean() < 0.11
    assert kstest(by_permutation, "uniform").pvalue > 0.01
    assert kstest(by_chi2, "uniform").pvalue < 1e-3


def test_pairs_of_few_expected_counts_are_counted():
    X = np.random.default_rng(0).poisson(6, (20, 4)) * np.repeat([1, 10], 10)[:, np.newaxis] + 1
    few = sum(expected_freq(X[[i, j]]).min() < 5 for i, j in combinations(range(20), 2))
    assert 0 < few < 190
    with pytest.warns(UserWarning, match=f"For {few} of 190 pairs"):
        pairwise_homogeneity(X, method="chi2")


def test_no_pvalue_is_lower_than_its_tables_can_tell():
    assert pairwise_homogeneity([[90, 1], [1, 90]], n_resamples=19).pvalue[0, 1] == 1 / 20


def test_the_same_bits_for_any_number_of_workers_and_storage(monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    X = counts(40, 5)  # in 15 tasks
    results = [
        pairwise_homogeneity(rows, n_resamples=9, random_state=0, n_jobs=n_jobs)
        for rows, n_jobs in ((X, 1), (X, 2), (sp.csr_array(X), 2))
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result.pvalue, results[0].pvalue)
    np.testing.assert_array_equal(results[0].statistic, results[1].statistic)


@pytest.mark.parametrize(
    ("method", "n", "n_tasks"),
    [("chi2", 256, 0), ("chi2", 257, 3), ("permutation", 8, 0), ("permutation", 9, 3), ("permutation", 40, 15)],
)
def test_progress_is_shown_where_there_are_several_tasks(method, n, n_tasks, capsys, monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    with parallel_config(verbose=10):
        pairwise_homogeneity(counts(n, 3), method=method, n_resamples=1, n_jobs=2)
    err = capsys.readouterr().err
    assert err.count("[skdiv] tests:") == n_tasks
    assert "[Parallel" not in err


def test_adjusted_pvalues():
    result = pairwise_homogeneity(counts(12, 5), method="chi2")
    above = np.triu_indices(12, 1)
    for method in ("bh", "by"):
        adjusted = result.adjusted(method)
        np.testing.assert_array_equal(adjusted[above], false_discovery_control(result.pvalue[above], method=method))
        np.testing.assert_array_equal(adjusted, adjusted.T)
        np.testing.assert_array_equal(np.diagonal(adjusted), 1)
    np.testing.assert_allclose(result.adjusted("bonferroni")[above], np.minimum(66 * result.pvalue[above], 1))
    with pytest.raises(ValueError, match="method = 'holm' must be"):
        result.adjusted("holm")


def test_rows_that_cannot_differ():
    for method in ("chi2", "permutation"):
        result = pairwise_homogeneity([[3, 0], [900, 0]], method=method)
        np.testing.assert_array_equal(result.pvalue, 1)
        np.testing.assert_array_equal(result.statistic, 0)
        assert (
            pairwise_homogeneity([[3, 0], [900, 0], [900, 0]], method=method).pvalue.tolist()
            == np.ones((3, 3)).tolist()
        )
        assert pairwise_homogeneity(np.tile([[9, 0, 2**28]], (3, 1)), method=method).pvalue.min() == 1
    assert pairwise_homogeneity([[3, 4]]).pvalue.tolist() == [[1]]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("method", ["chi2", "permutation"])
@pytest.mark.parametrize("count", [2.0**53 + 2, 1e19, 1.7e308])
def test_what_float64_does_not_tell_from_the_next_whole_number_is_no_count(count, method, container):
    with pytest.raises(ValueError, match=rf"X\[1, 0\] = {re.escape(f'{count:g}')} is above 2\*\*53, .*pairwise_div"):
        pairwise_homogeneity(container([[1, 2], [count, count], [3, 1]]), method=method)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_statistics_of_the_largest_counts_are_those_of_exact_arithmetic(container):
    X = np.array([[2**53, 2**52, 0, 1], [2**53 - 3 * 10**7, 2**52 + 10**8, 7, 0], [0, 0, 0, 1], [0, 2**53, 2**53, 0]])
    with pytest.warns(UserWarning, match="For 5 of 6 pairs"):
        result = pairwise_homogeneity(container(X), method="chi2")
    for i, j in combinations(range(4), 2):
        with mp.workdps(oracle.DIGITS):
            rows = [np.array([mpf(int(count)) for count in X[k]]) for k in (i, j)]
            mean = (rows[0] + rows[1]) / (rows[0] + rows[1]).sum()
            expected = sum(2 * row.sum() * oracle.kl(row / row.sum(), mean) for row in rows)
            divergence = expected / (rows[0] + rows[1]).sum()
        allowed = 1e-9 + np.finfo(float).eps / float(divergence) ** 0.5
        assert oracle.relative_error(result.statistic[i, j], expected) < allowed
    assert np.isfinite(result.pvalue).all()


def test_permutation_refuses_the_rows_with_most_observations_before_it_tests_any():
    X = [[1, 2], [4 * 10**8, 4 * 10**8], [3, 1], [10**9, 2]]
    with pytest.raises(ValueError, match=r"X\[1\] and X\[3\] have 1800000002 observations, .* than 1000000000\. Pass"):
        pairwise_homogeneity(X)
    assert pairwise_homogeneity(X[3:]).pvalue.tolist() == [[1]]  # no pair, nothing to draw
    assert pairwise_homogeneity([[0, 10**9 - 4], [3, 0]], n_resamples=9, random_state=0).pvalue[0, 1] == 0.1


def test_counts_in_single_precision_are_tested_as_they_are():
    X = np.array([[2**24 + 2, 2**26, 30], [2**24, 2**26 + 8, 10], [2**25, 2**26, 90]], dtype=np.float32)
    for method in ("chi2", "permutation"):
        of_single, of_double = (
            pairwise_homogeneity(rows, method=method, n_resamples=9, random_state=0)
            for rows in (X, X.astype(np.float64))
        )
        for single, double in zip(of_single, of_double, strict=True):
            assert single.dtype == np.float64
            np.testing.assert_array_equal(single, double)


def test_counts_in_two_entries_are_their_sum():
    X = sp.csr_array(([0.5, 0.5, 3, 2, 2], [0, 0, 1, 0, 1], [0, 3, 5]), shape=(2, 2))
    result = pairwise_homogeneity(X, method="permutation", n_resamples=9, random_state=0)
    expected = pairwise_homogeneity([[1, 3], [2, 2]], n_resamples=9, random_state=0)
    np.testing.assert_allclose(result.statistic, expected.statistic, rtol=1e-12)
    np.testing.assert_array_equal(result.pvalue, expected.pvalue)


def test_refusals():
    with pytest.raises(ValueError, match=r"X\[0, 1\] = 0.25 is not a whole number, but a test needs counts"):
        pairwise_homogeneity([[3, 0.25], [1, 2]])
    with pytest.raises(ValueError, match="method = 'fisher' must be"):
        pairwise_homogeneity(counts(3, 4), method="fisher")
    with pytest.raises(ValueError, match="n_resamples == 0"):
        pairwise_homogeneity(counts(3, 4), n_resamples=0)
    with pytest.raises(ValueError, match=r"X\[0\] and X\[1\] have 1600000000 observations"):
        pairwise_homogeneity([[4 * 10**8, 4 * 10**8]] * 2)
    with pytest.raises(ValueError, match=r"X\[1\] sums to 0"):
        pairwise_homogeneity([[1, 2], [0, 0]])
    with pytest.raises(ValueError, match="Negative values"):
        pairwise_homogeneity([[1, -2], [0, 1]])


@pytest.mark.parametrize("method", ["chi2", "permutation"])
@pytest.mark.filterwarnings("ignore:For .* pairs an expected count")
def test_tests_of_rows_in_many_columns_are_those_in_the_columns_that_are_used(method):
    few = sp.csr_array(np.random.default_rng(0).integers(0, 9, (6, 8)).astype(float))
    many = sp.csr_array((few.data, 1000 * few.indices, few.indptr), shape=(6, 8000))
    found, expected = (pairwise_homogeneity(X, method=method, n_resamples=99, random_state=0) for X in (many, few))
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(found.pvalue, expected.pvalue, rtol=1e-12)
