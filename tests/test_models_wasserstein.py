"""Wasserstein distances on ordered bins: SciPy's, 50-digit arithmetic, and the transport problem itself."""

import mpmath
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import POLARS, random_distributions
from joblib import parallel_config
from mpmath import mp, mpf
from oracle import DIGITS, relative_error
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from skdiv import DivergenceClustering
from skdiv.models import _wasserstein, wasserstein_divergences

POSITIONS = np.cumsum(np.random.default_rng(5).gamma(1, 10, 17)) - 40


def of_scipy(X, Y, positions):
    return np.array([[wasserstein_distance(positions, positions, p, q) for q in Y] for p in X])


def exact(p, q, positions):
    """The area between the cumulative distributions, in 50-digit arithmetic."""
    with mp.workdps(DIGITS):
        p, q = ([mpf(float(weight)) for weight in weights] for weights in (p, q))
        p, q = ([weight / mpmath.fsum(weights) for weight in weights] for weights in (p, q))
        area = height = mpf(0)
        for k in range(len(p) - 1):
            height += p[k] - q[k]
            area += abs(height) * (mpf(float(positions[k + 1])) - mpf(float(positions[k])))
        return area


def by_transport(p, q, positions):
    """The least work over all plans of what to move where, by linear programming."""
    n = len(p)
    work = np.abs(positions[:, np.newaxis] - positions)
    leaves, arrives = np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))
    plan = linprog(work.ravel(), A_eq=np.vstack([leaves, arrives]), b_eq=np.concatenate([p, q]))
    return plan.fun


@pytest.mark.parametrize("positions", [None, POSITIONS])
def test_the_distances_are_those_of_scipy(positions):
    X, Y = random_distributions(6, 17, zeros=0.3), random_distributions(4, 17, seed=1)
    places = np.arange(17) if positions is None else positions
    np.testing.assert_allclose(
        wasserstein_divergences(X, Y, positions=positions), of_scipy(X, Y, places), rtol=1e-12, atol=1e-13
    )
    np.testing.assert_allclose(
        wasserstein_divergences(7 * X, positions=positions), of_scipy(X, X, places), rtol=1e-12, atol=1e-13
    )


def test_they_are_the_least_work_of_all_transport_plans():
    X = random_distributions(3, 6, zeros=0.2)
    D = wasserstein_divergences(X, positions=POSITIONS[:6])
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        assert D[i, j] == pytest.approx(by_transport(X[i], X[j], POSITIONS[:6]), rel=1e-9)


@pytest.mark.parametrize("n_bins", [5, 500])
def test_the_error_is_that_of_the_cumulative_sums(n_bins):
    X, positions = random_distributions(3, n_bins, zeros=0.2), np.logspace(0, 3, n_bins)
    D = wasserstein_divergences(X, positions=positions)
    assert max(relative_error(D[i, j], exact(X[i], X[j], positions)) for i, j in [(0, 1), (0, 2), (1, 2)]) < 1e-13


def test_near_duplicates_are_told_apart_to_the_rounding_of_the_sums():
    p = random_distributions(1, 50)[0]
    q = p * (1 + 1e-7 * np.random.default_rng(1).random(50))
    assert wasserstein_divergences([p], [q])[0, 0] == pytest.approx(
        float(exact(p, q, np.arange(50))), abs=1e-16 * np.sqrt(50) * 49, rel=0
    )


def test_a_distance_of_points_is_that_of_their_positions():
    D = wasserstein_divergences(np.eye(17), positions=POSITIONS)
    np.testing.assert_allclose(D, np.abs(POSITIONS[:, np.newaxis] - POSITIONS), rtol=1e-13)
    assert D.max() == pytest.approx(np.ptp(POSITIONS))


def test_equal_rows_are_at_exactly_zero_and_the_matrix_is_symmetric_to_the_bit(monkeypatch):
    X = np.repeat(random_distributions(5, 12), 2, axis=0)
    for side in (3, 256):
        monkeypatch.setattr(_wasserstein, "_LARGEST_SIDE", side)
        D = wasserstein_divergences(X)
        np.testing.assert_array_equal(D, D.T)
        assert (D[::2, 1::2].diagonal() == 0).all()
        assert (wasserstein_divergences(X, X[::2])[::2].diagonal() == 0).all()
        np.testing.assert_allclose(D, of_scipy(X, X, np.arange(12)), rtol=1e-12, atol=1e-14)


def test_the_triangle_inequality_holds():
    D = wasserstein_divergences(random_distributions(12, 9, zeros=0.5), positions=POSITIONS[:9])
    assert (D[:, np.newaxis] <= D[:, :, np.newaxis] + D + 1e-12).all()


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_matrix, pd.DataFrame, POLARS, np.ndarray.tolist])
def test_every_container_gives_the_same_and_stays_as_it_is(container):
    X, Y = random_distributions(6, 17, zeros=0.7), random_distributions(3, 17, zeros=0.7, seed=1)
    given = container(X)
    np.testing.assert_allclose(
        wasserstein_divergences(given, container(Y), positions=POSITIONS),
        wasserstein_divergences(X, Y, positions=POSITIONS),
        rtol=1e-12,
    )
    if container is not POLARS.values[0]:  # whose columns always have names
        np.testing.assert_allclose(wasserstein_divergences(given), wasserstein_divergences(X), rtol=1e-12)
    np.testing.assert_array_equal(given.toarray() if sp.issparse(given) else np.asarray(given), X)


def test_sparse_rows_beside_dense_ones():
    X, Y = random_distributions(6, 17, zeros=0.7), random_distributions(3, 17, seed=1)
    expected = wasserstein_divergences(X, Y, positions=POSITIONS)
    np.testing.assert_array_equal(wasserstein_divergences(sp.csr_array(X), Y, positions=POSITIONS), expected)


def test_sparse_rows_keep_the_positions_of_the_bins_that_they_use():
    X, Y = np.zeros((2, 3, 17))
    X[:, [2, 5, 11]], Y[:, [5, 16]] = random_distributions(3, 3), random_distributions(3, 2, seed=1)
    D = wasserstein_divergences(sp.csr_array(X), sp.csr_array(Y), positions=POSITIONS)
    np.testing.assert_allclose(D, of_scipy(X, Y, POSITIONS), rtol=1e-12)


def test_bins_that_nobody_uses_cost_nothing():
    """A hundred rows of a hundred million bins would not fit into memory."""
    bins = np.sort(np.random.default_rng(0).choice(10**8, 50, replace=False))
    weights = np.random.default_rng(1).random((100, 50))
    rows = sp.csr_array((weights.ravel(), np.tile(bins, 100), np.arange(0, 5001, 50)), shape=(100, 10**8))
    D = wasserstein_divergences(rows)
    assert D[0, 1] == pytest.approx(wasserstein_distance(bins, bins, weights[0], weights[1]))


def test_single_precision_stays_and_is_computed_in_double():
    X = random_distributions(3, 20_000)
    D = wasserstein_divergences(X.astype(np.float32))
    assert D.dtype == np.float32
    np.testing.assert_allclose(D, wasserstein_divergences(X), rtol=2e-6)
    assert wasserstein_divergences(X.astype(np.float32), X).dtype == np.float64


def test_distributions_in_one_of_the_bins_have_no_distance():
    np.testing.assert_array_equal(wasserstein_divergences([[3, 0], [1, 0]]), np.zeros((2, 2)))


def test_any_number_of_workers_gives_the_same_bits(monkeypatch):
    monkeypatch.setattr(_wasserstein, "_LARGEST_SIDE", 16)
    monkeypatch.setattr(_wasserstein, "_NANOSECONDS", 1e9)  # so that it is worth workers
    X = random_distributions(50, 9)
    expected = wasserstein_divergences(X, positions=POSITIONS[:9])
    with parallel_config("threading"):
        np.testing.assert_array_equal(wasserstein_divergences(X, positions=POSITIONS[:9], n_jobs=2), expected)


def test_neighbouring_bins_are_clustered_together_as_no_divergence_does():
    X, positions = np.eye(6), [1, 2, 3, 5, 6, 7]
    clustering = DivergenceClustering(2, metric="precomputed")
    clustering.fit(wasserstein_divergences(X, positions=positions))
    assert clustering.labels_.tolist() == [1, 1, 1, 0, 0, 0]
    new = wasserstein_divergences([[0, 1, 1, 0, 0, 0]], X, positions=positions)
    assert clustering.predict(new).tolist() == [1]


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([1, 2], r"positions must hold one number for each of the 3 bins \(columns\), but its shape is \(2,\)"),
        ([[1, 2, 3]], r"its shape is \(1, 3\)"),
        ([1, np.nan, 3], r"positions\[1\] = nan"),
        ([1, 3, 2], r"positions\[1\] = 3.0 and positions\[2\] = 2.0, but they must ascend strictly.*argsort"),
        ([1, 1, 2], r"positions\[0\] = 1.0 and positions\[1\] = 1.0, but they must ascend strictly.*add up bins"),
        ([-1.7e308, 1.7e308, 1.71e308], r"positions\[0\] = -1.7e\+308 .* their difference must be finite"),
    ],
)
def test_bad_positions_are_refused_by_name(positions, message):
    with pytest.raises(ValueError, match=message):
        wasserstein_divergences(np.eye(3), positions=positions)


@pytest.mark.parametrize(("dtype", "farthest"), [(np.float64, 1.7e308), (np.float32, 2e38)])
def test_positions_whose_distance_overflows_in_the_precision_of_the_rows_are_refused(dtype, farthest):
    """Each difference of neighbours is finite."""
    wasserstein_divergences(np.eye(3, dtype=dtype), positions=[0, farthest / 2, farthest])
    with pytest.raises(ValueError, match=r"positions\[0\] = -.* and positions\[2\] = .* must be finite.*other units"):
        wasserstein_divergences(np.eye(3, dtype=dtype), positions=[-farthest, 0, farthest])


def test_positions_that_are_no_numbers_are_refused():
    with pytest.raises(TypeError, match="positions must hold real numbers"):
        wasserstein_divergences(np.eye(2), positions=["[0, 1)", "[1, 2]"])


def test_bad_rows_are_refused_as_everywhere():
    with pytest.raises(ValueError, match=r"Y\[1\] sums to 0"):
        wasserstein_divergences([[1, 2]], [[1, 2], [0, 0]])
    with pytest.raises(ValueError, match=r"X has 2 bins \(columns\) and Y has 3"):
        wasserstein_divergences([[1, 2]], [[1, 2, 3]])
