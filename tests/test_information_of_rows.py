"""Entropies, cross-entropies and the information of a collection: 50-digit arithmetic, SciPy and scikit-learn."""

import math

import mpmath
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scipy.stats
from conftest import POLARS, random_distributions
from mpmath import mp, mpf
from oracle import DIGITS, kl, relative_error
from sklearn.metrics import log_loss, mutual_info_score

from skdiv import (
    DivergenceClustering,
    cross_entropy,
    entropy,
    mutual_information,
    pairwise_divergences,
)

CONTAINERS = [np.asarray, sp.csr_array, sp.csc_matrix, pd.DataFrame, POLARS]


def exact_rows(X):
    """Rows that sum to one, of 50-digit numbers."""
    rows = [[mpf(float(weight)) for weight in row] for row in X]
    return [[weight / mpmath.fsum(row) for weight in row] for row in rows]


def exact_entropy(row):
    with mp.workdps(300):  # so that one less a small number is not one
        (p,) = exact_rows([row])
        return -mpmath.fsum(share * mpmath.log(share) for share in p if share > 0)


def exact_cross_entropy(x, y):
    with mp.workdps(DIGITS):
        p, q = exact_rows([x, y])
        return mpmath.inf if math.isinf(kl(p, q)) else kl(p, q) + exact_entropy(x)


def exact_information(X, masses=None):
    """The definition by entropies, in 50 digits: that of the mean less the mean of those of the rows."""
    with mp.workdps(2 * DIGITS):
        rows = exact_rows(X)
        masses = [mpf(1)] * len(rows) if masses is None else [mpf(float(mass)) for mass in masses]
        shares = [mass / mpmath.fsum(masses) for mass in masses]
        mean = [mpmath.fsum(map(mpmath.fmul, shares, column)) for column in zip(*rows, strict=True)]

        def terms(p):
            return mpmath.fsum(-share * mpmath.log(share) for share in p if share > 0)

        return terms(mean) - mpmath.fsum(share * terms(row) for share, row in zip(shares, rows, strict=True))


# --- Entropy ---


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("pseudocount", [0, 0.3])
def test_entropies_are_those_of_scipy_in_every_container(container, pseudocount):
    X = np.round(100 * random_distributions(9, 13, zeros=0.6))
    X[0], X[1] = np.eye(13)[0], np.eye(13)[5] * 7
    H = entropy(container(X), base=2, pseudocount=pseudocount)
    np.testing.assert_allclose(H, scipy.stats.entropy(X + pseudocount, axis=1, base=2), rtol=1e-13, atol=1e-15)
    if not pseudocount:
        assert H[:2].tolist() == [0, 0]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("small", [0.3, 1e-5, 1e-12, 1e-18, 1e-250])
def test_small_entropies_are_as_accurate_as_large_ones(container, small):
    """SciPy has lost all digits where the rest of the mass is below the rounding of one."""
    X = np.array([[1, small, 0, 2 * small], [small, small, 1 - small, 0], [1, 1, 0, small]])
    for row, value in zip(X, entropy(container(X)), strict=True):
        assert relative_error(value, exact_entropy(row)) < 1e-13


def test_a_small_entropy_that_is_due_to_the_pseudocount():
    X = np.array([[1e9, 0, 0, 0], [0, 3e9, 5, 0]])
    for container in (np.asarray, sp.csr_array):
        for row, value in zip(X + 1e-6, entropy(container(X), pseudocount=1e-6), strict=True):
            assert relative_error(value, exact_entropy(row)) < 1e-12


def test_a_row_of_zeros_with_a_pseudocount_is_uniform():
    for container in (np.asarray, sp.csr_array):
        np.testing.assert_allclose(entropy(container(np.zeros((1, 6))), pseudocount=1), np.log(6))
    assert entropy(sp.csr_array((1, 2)), pseudocount=1).tolist() == [np.log(2)]


def test_single_precision_stays_and_is_summed_in_double():
    X = random_distributions(4, 20_000)
    H = entropy(X.astype(np.float32))
    assert H.dtype == np.float32
    np.testing.assert_allclose(H, entropy(X), rtol=1e-6)
    assert cross_entropy(X.astype(np.float32)).dtype == np.float32


# --- Cross-entropy ---


def test_cross_entropies_agree_with_50_digit_arithmetic():
    X, Y = random_distributions(5, 9, zeros=0.4), random_distributions(4, 9, zeros=0.2, seed=1)
    X[4] = 1e-9 * Y[0] + np.eye(9)[0]
    for container in (np.asarray, sp.csr_array):
        H = cross_entropy(container(X), container(Y))
        assert np.isinf(H).any()
        for i, j in np.ndindex(H.shape):
            assert relative_error(H[i, j], exact_cross_entropy(X[i], Y[j])) < 1e-12


def test_a_cross_entropy_is_infinite_where_the_other_row_has_no_mass_and_only_there():
    X = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]])
    assert np.isinf(cross_entropy(X)).tolist() == [[False, True, False], [False] * 3, [True, True, False]]
    assert np.isfinite(cross_entropy(X, pseudocount=0.1)).all()


def test_a_row_costs_its_entropy_by_itself_and_more_by_any_other():
    X = random_distributions(12, 8)
    H = cross_entropy(X, base=2, n_jobs=2)
    np.testing.assert_allclose(H.diagonal(), entropy(X, base=2), rtol=1e-14)
    assert (H.diagonal()[:, np.newaxis] <= H).all()
    np.testing.assert_allclose(
        H - H.diagonal()[:, np.newaxis], pairwise_divergences(X, metric="kl", base=2), atol=1e-14
    )


def test_of_classes_it_is_the_log_loss_of_the_predictions():
    predictions, classes = random_distributions(20, 4), np.random.default_rng(0).integers(4, size=20)
    H = cross_entropy(np.eye(4)[classes], predictions)
    assert H.diagonal().mean() == pytest.approx(log_loss(classes, predictions, labels=range(4)), rel=1e-12)


# --- Information ---


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_information_agrees_with_50_digit_arithmetic(container, weighted):
    X = random_distributions(7, 11, zeros=0.5)
    masses = np.random.default_rng(1).gamma(1, 1, 7) if weighted else None
    assert relative_error(mutual_information(container(X), sample_weight=masses), exact_information(X, masses)) < 1e-12


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("near", [1e-2, 1e-4, 1e-6])
def test_near_duplicates_keep_their_digits(container, near):
    rng = np.random.default_rng(2)
    X = random_distributions(1, 20, zeros=0.3)[0] * (1 + near * rng.random((6, 20)))
    X /= X.sum(axis=1, keepdims=True)
    masses = rng.random(6)
    truth = exact_information(X, masses)
    assert relative_error(mutual_information(container(X), sample_weight=masses), truth) < 1e-9 + 1e-15 / math.sqrt(
        truth
    )


def test_one_of_many_equal_rows_that_differs_is_seen():
    X = np.repeat(random_distributions(1, 5), 400, axis=0)
    X[7, 2] *= 1 + 1e-5
    assert relative_error(mutual_information(X), exact_information(X)) < 1e-7


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_equal_rows_have_none(container):
    X = np.repeat(random_distributions(1, 30, zeros=0.3), 100, axis=0) * np.random.default_rng(0).gamma(1, 1, (100, 1))
    assert mutual_information(container(X)) == 0
    assert mutual_information(container(X[:1])) == 0


def test_rows_that_share_no_bin_have_all_that_there_is():
    assert mutual_information(np.eye(8), base=2) == 3
    assert mutual_information(np.eye(3), sample_weight=[1, 2, 5]) == pytest.approx(entropy([[1, 2, 5]])[0], rel=1e-14)


def test_counts_with_their_sums_have_the_information_of_the_table():
    counts = np.random.default_rng(0).poisson(5, (6, 9))
    expected = mutual_info_score(None, None, contingency=counts)
    assert mutual_information(counts, sample_weight=counts.sum(axis=1)) == pytest.approx(expected, rel=1e-12)
    statistic = scipy.stats.chi2_contingency(counts, lambda_="log-likelihood", correction=False).statistic
    assert 2 * counts.sum() * expected == pytest.approx(statistic, rel=1e-12)


def test_of_two_rows_it_is_their_jensen_shannon_divergence():
    X = random_distributions(2, 6, zeros=0.3)
    expected = pairwise_divergences(X, metric="js_divergence", base=2)[0, 1]
    assert mutual_information(X, base=2) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_it_is_what_the_tree_of_linkage_information_loses_in_all(container):
    X, masses = random_distributions(9, 6, zeros=0.3), np.arange(1.0, 10)
    tree = DivergenceClustering(1, linkage="information", pseudocount=0.01).fit(container(X), sample_weight=masses)
    information = mutual_information(container(X), sample_weight=masses, pseudocount=0.01)
    assert information == pytest.approx(tree.distances_.sum(), rel=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_weights_of_any_ratio_and_tiny_entries_are_right(container):
    X = np.array([[1, 1e-300, 0], [0.5, 0.5, 0], [0, 1, 1e-300]])
    masses = [1e-8, 1, 1e3]
    assert relative_error(mutual_information(container(X), sample_weight=masses), exact_information(X, masses)) < 1e-9
    assert mutual_information(container(X), sample_weight=[1e100, 1e-100, 1e-100]) == 0


def test_single_precision_is_computed_in_double():
    X = (random_distributions(1, 8)[0] * (1 + 1e-4 * np.random.default_rng(0).random((5, 8)))).astype(np.float32)
    assert relative_error(mutual_information(X), exact_information(X)) < 1e-9


def test_what_is_not_valid_is_refused_by_name():
    with pytest.raises(ValueError, match=r"sample_weight\[1\] = 0.0"):
        mutual_information([[1, 2], [2, 1]], sample_weight=[1, 0])
    with pytest.raises(ValueError, match=r"X\[1\] sums to 0"):
        mutual_information([[1, 2], [0, 0]])
    with pytest.raises(ValueError, match="base = 1 must be a finite number above 1"):
        mutual_information([[1, 2]], base=1)
    for function in (entropy, cross_entropy):
        with pytest.raises(ValueError, match=r"X\[0, 1\] = -1.0"):
            function([[1, -1]])
        with pytest.raises(ValueError, match="base = 0.5 must be a finite number above 1"):
            function([[1, 2]], base=0.5)
    with pytest.raises(ValueError, match=r"X has 2 bins \(columns\) and Y has 3"):
        cross_entropy([[1, 2]], [[1, 2, 3]])
