"""Divergences between Gaussians: closed forms in 50-digit arithmetic, and the definitions by quadrature."""

import math
from functools import partial

import mpmath
import numpy as np
import pytest
from mpmath import mp
from oracle import DIGITS, relative_error
from scipy.integrate import quad
from scipy.special import rel_entr

from skdiv.models import _gaussians, gaussian_divergences

METRICS = ["kl", "jeffreys", "hellinger", "bhattacharyya"]
KINDS = ["full", "diagonal", "spherical"]


def gaussians(kind, n=5, n_features=4, seed=0, near=0.0):
    """Means and covariances at random; with ``near`` they differ from the first one by that share."""
    rng = np.random.default_rng(seed)
    means, factors = rng.normal(size=(n, n_features)), rng.normal(size=(n, n_features, n_features + 2))
    if near:
        means = means[0] + near * means
        factors = factors[0] + near * factors
    full = factors @ factors.swapaxes(1, 2)
    spreads = {"full": full, "diagonal": np.diagonal(full, axis1=1, axis2=2).copy(), "spherical": full[:, 0, 0].copy()}
    return means, spreads[kind]


def as_full(covariances, n_features):
    """The same covariances as matrices."""
    if covariances.ndim == 1:
        covariances = np.repeat(covariances[:, np.newaxis], n_features, axis=1)
    return covariances if covariances.ndim == 3 else np.array([np.diag(row) for row in covariances])


def exact(metric, p, q):
    """The closed form with inverses and determinants, in 50-digit arithmetic."""
    with mp.workdps(DIGITS):
        (mean, of_p), (its_mean, of_q) = ((mpmath.matrix(m.tolist()), mpmath.matrix(c.tolist())) for m, c in (p, q))
        shift = mean - its_mean
        if metric in ("kl", "jeffreys"):
            inverse = of_q**-1
            ratio = inverse * of_p
            trace = mpmath.fsum(ratio[k, k] for k in range(ratio.rows))
            kl = (trace - ratio.rows - mpmath.log(mpmath.det(ratio)) + (shift.T * inverse * shift)[0]) / 2
            return kl if metric == "kl" else kl + exact("kl", q, p)
        middle = (of_p + of_q) / 2
        ratio = mpmath.det(middle) / mpmath.sqrt(mpmath.det(of_p) * mpmath.det(of_q))
        value = (shift.T * middle**-1 * shift)[0] / 8 + mpmath.log(ratio) / 2
        return value if metric == "bhattacharyya" else mpmath.sqrt(-mpmath.expm1(-value))


def worst_error(metric, means, covariances):
    """The largest relative error of a matrix, outside of its diagonal."""
    D, full = gaussian_divergences(means, covariances, metric), as_full(covariances, means.shape[1])
    models = list(zip(means, full, strict=True))
    return max(
        relative_error(D[i, j], exact(metric, models[i], models[j]))
        for i in range(len(models))
        for j in range(len(models))
        if i != j
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_closed_forms_agree_with_50_digit_arithmetic(metric, kind):
    assert worst_error(metric, *gaussians(kind)) < 1e-12


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("near", [0.03, 1e-6, 1e-12])
def test_nearly_equal_gaussians_are_right_relative_to_their_small_divergence(metric, kind, near):
    assert worst_error(metric, *gaussians(kind, n=4, n_features=3, near=near)) < 1e-10


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_covariances_alone_are_told_apart(metric, kind):
    """Equal means leave nothing but the difference that cancels."""
    _, covariances = gaussians(kind, near=1e-7, n=4)
    assert worst_error(metric, np.zeros((4, 4)), covariances) < 1e-9


@pytest.mark.sampled
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-140, 1e-12, 1, 1e6, 1e140])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_features", [1, 3])
def test_the_promised_error_holds_for_covariances_of_any_scale(metric, scale, kind, n_features):
    """The first Gaussian is compared with nearer and nearer ones, on both sides of the limit for eigenvalues."""
    rng = np.random.default_rng(n_features)
    one, other = (factor @ factor.T for factor in rng.normal(size=(2, n_features, 2 * n_features + 2)))
    full = scale * np.array([one, *(one + step * other for step in (0.03, 0.06, 0.1, 0.3, 1))])
    variances = np.diagonal(full, axis1=1, axis2=2)
    means, covariances = np.zeros((6, n_features)), {"full": full, "diagonal": variances, "spherical": full[:, 0, 0]}
    D, matrices = gaussian_divergences(means, covariances[kind], metric), as_full(covariances[kind], n_features)
    promised = n_features * 1e-13 + 1e-16 * np.linalg.cond(matrices).max()
    for j in range(1, 6):
        assert relative_error(D[0, j], exact(metric, *zip(means[[0, j]], matrices[[0, j]], strict=True))) < promised


@pytest.mark.parametrize("metric", METRICS)
def test_variances_of_any_ratio_are_right(metric):
    variances = np.array([1e-120, 1e-8, 1, 1 + 1e-9, 1e12])
    assert worst_error(metric, np.zeros((5, 1)), variances) < 1e-9
    matrices = np.array([np.diag([v, 1.0]) for v in (1e-12, 1e-8, 1, 1 + 1e-9, 1e12)])
    assert worst_error(metric, np.zeros((5, 2)), matrices) < 1e-6


@pytest.mark.parametrize("metric", METRICS)
def test_the_definitions_give_the_same_by_quadrature(metric):

    def density(x, mean, variance):
        return math.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)

    means, variances = np.array([[0.0], [1.0], [-0.5]]), np.array([1.0, 0.49, 4.0])
    D = gaussian_divergences(means, variances, metric)

    def integral(term, i, j):
        p, q = (partial(density, mean=means[k, 0], variance=variances[k]) for k in (i, j))
        return quad(lambda x: term(p(x), q(x)), -20, 20, points=[-2, 0, 2], epsabs=1e-10, limit=200)[0]

    value = {
        "kl": lambda i, j: integral(rel_entr, i, j),
        "jeffreys": lambda i, j: integral(rel_entr, i, j) + integral(rel_entr, j, i),
        "bhattacharyya": lambda i, j: -math.log(integral(lambda p, q: math.sqrt(p * q), i, j)),
        "hellinger": lambda i, j: math.sqrt(1 - integral(lambda p, q: math.sqrt(p * q), i, j)),
    }[metric]
    for i, j in [(0, 1), (2, 1)]:
        assert D[i, j] == pytest.approx(value(i, j), rel=1e-8)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_equal_gaussians_are_at_exactly_zero_and_none_is_below(metric, kind):
    means, covariances = gaussians(kind, n=4, near=1e-15)
    means, covariances = (np.concatenate([array, array]) for array in (means, covariances))
    D = gaussian_divergences(means, covariances, metric)
    assert (D >= 0).all()
    assert (np.diagonal(D[:4, 4:]) == 0).all()
    assert (np.diagonal(D) == 0).all()


@pytest.mark.parametrize("kind", ["diagonal", "spherical"])
@pytest.mark.parametrize("metric", METRICS)
def test_variances_give_what_their_matrices_give(metric, kind):
    means, covariances = gaussians(kind)
    expected = gaussian_divergences(means, as_full(covariances, 4), metric)
    np.testing.assert_allclose(gaussian_divergences(means, covariances, metric), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_linear_map_of_the_features_changes_nothing(metric):
    means, covariances = gaussians("full")
    A = np.random.default_rng(1).normal(size=(4, 4))
    mapped = gaussian_divergences(means @ A.T + 3, A @ covariances @ A.T, metric)
    np.testing.assert_allclose(mapped, gaussian_divergences(means, covariances, metric), rtol=1e-9)


@pytest.mark.parametrize("metric", METRICS[1:])
@pytest.mark.parametrize("kind", KINDS)
def test_symmetric_metrics_are_symmetric_to_the_bit(metric, kind, monkeypatch):
    monkeypatch.setattr(_gaussians, "_LARGEST_SIDE", 3)
    D = gaussian_divergences(*gaussians(kind), metric)
    np.testing.assert_array_equal(D, D.T)


def test_tiles_of_any_size_give_the_same():
    for kind in KINDS:
        for metric in METRICS:
            expected = gaussian_divergences(*gaussians(kind), metric)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(_gaussians, "_LARGEST_SIDE", 2)
                np.testing.assert_allclose(gaussian_divergences(*gaussians(kind), metric), expected, rtol=1e-13)


def test_far_means_are_not_lost_and_the_hellinger_distance_is_at_most_one():
    means = [[0.0], [1e8], [1e200]]
    D = gaussian_divergences(means, [1.0, 1.0, 1.0], "kl")
    assert D[0, 1] == pytest.approx(5e15)
    assert D[0, 2] == np.inf
    assert gaussian_divergences(means, [1.0, 1.0, 1.0], "hellinger").max() == 1


# --- What is refused -------------------------------------------------------------------------------------------------

IDENTITY = np.eye(2)


@pytest.mark.parametrize(
    ("means", "covariances", "message"),
    [
        ([[0, 0], [0, np.nan]], [1, 1], r"means\[1, 1\] = nan"),
        ([[0, 0], [0, 1]], [1, np.inf], r"covariances\[1\] = inf"),
        ([0, 0], [1, 1], r"means must be of shape \(n, n_features\).*reshape"),
        ([[0, 0], [0, 1]], [1, 1, 1], r"covariances must be of shape \(2, 2, 2\).*\(3,\)"),
        ([[0, 0], [0, 1]], [1, 0], r"covariances\[1\] = 0.0, but a variance must be above 0"),
        ([[0, 0], [0, 1]], [[1, 1], [1, -2]], r"covariances\[1, 1\] = -2.0"),
        ([[0, 0], [0, 1]], [IDENTITY, [[1, 0.5], [0.4, 1]]], r"covariances\[1\] is not symmetric: .*\[0, 1\] is 0.5"),
        ([[0, 0], [0, 1]], [IDENTITY, [[1, 1], [1, 1]]], r"covariances\[1\] is not positive definite.*ledoit_wolf"),
        ([[0, 0], [0, 1]], [[[1, 2], [2, 1]], IDENTITY], r"covariances\[0\] is not positive definite.*-1"),
        ([[0, 0], [0, 1]], [IDENTITY, [[1, 0], [0, -1]]], r"covariances\[1\] is not positive definite"),
    ],
)
def test_bad_gaussians_are_refused_by_name(means, covariances, message):
    with pytest.raises(ValueError, match=message):
        gaussian_divergences(means, covariances)


def test_a_matrix_that_is_singular_but_for_rounding_is_refused():
    """Its Cholesky factorisation goes through, but what it divides by is rounding."""
    observations = np.random.default_rng(0).normal(size=(100, 2)) @ np.array([[0.1, 0.3, 0.7], [0.7, 0.2, 0.1]])
    singular = observations.T @ observations
    with pytest.raises(ValueError, match=r"covariances\[1\] is not positive definite"):
        gaussian_divergences(np.zeros((2, 3)), [np.eye(3), singular])


def test_units_do_not_make_a_covariance_singular():
    scale = np.array([1e-12, 1.0, 1e12])
    means, covariances = gaussians("full", n_features=3)
    rescaled = covariances * scale[:, np.newaxis] * scale
    expected = gaussian_divergences(means, covariances)
    np.testing.assert_allclose(gaussian_divergences(means * scale, rescaled), expected, rtol=1e-9)


def test_rounding_may_break_symmetry():
    means, covariances = gaussians("full")
    skewed = covariances.copy()
    skewed[:, 0, 1] *= 1 + 1e-14
    np.testing.assert_allclose(
        gaussian_divergences(means, skewed), gaussian_divergences(means, covariances), rtol=1e-10
    )


# --- Extreme units ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["kl", "bhattacharyya"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", [1e-70, 1e70])
def test_the_unit_of_the_features_changes_nothing_however_small_or_large(metric, kind, unit):
    """The squares of the means and the products of two variances would overflow or underflow."""
    means, covariances = gaussians(kind, near=1e-4, n=3)
    assert worst_error(metric, unit * means, unit * covariances * unit) < 1e-10


@pytest.mark.parametrize("metric", ["kl", "bhattacharyya"])
@pytest.mark.parametrize(("shift", "variance"), [(1e-170, 1e-149), (1e170, 1e149)])
def test_a_small_or_large_shift_is_seen_beside_its_variance(metric, shift, variance):
    assert worst_error(metric, np.array([[0.0], [shift]]), np.full(2, variance)) < 1e-12


@pytest.mark.parametrize("metric", ["kl", "bhattacharyya"])
def test_the_most_extreme_variances_that_are_accepted_are_right(metric):
    assert worst_error(metric, np.zeros((3, 1)), np.array([1e-150, 1e-150 * (1 + 1e-9), 1e150])) < 1e-9


@pytest.mark.parametrize(
    ("means", "covariances", "message"),
    [
        ([[0.0], [0.0]], [1, 1e-300], r"covariances\[1\] = 1e-300, but .* from 1e-150 to 1e\+150\. .* other units"),
        ([[0.0], [0.0]], [[1], [1e300]], r"covariances\[1, 0\] = 1e\+300, but a variance"),
        ([[0.0, 0]] * 2, [np.eye(2), np.diag([1, 1e-300])], r"covariances\[1, 1, 1\] = 1e-300, but a variance"),
        ([[0.0, 0], [0, -1e300]], [1, 1], r"means\[1, 1\] = -1e\+300, but .* ±1e\+200\. .* other units"),
    ],
)
def test_units_in_which_squares_overflow_are_refused(means, covariances, message):
    with pytest.raises(ValueError, match=message):
        gaussian_divergences(means, covariances)


def test_a_number_beyond_float64_is_refused_by_its_place():
    with pytest.raises(ValueError, match=r"means\[0, 1\] = 1e\+400 is beyond the range of float64"):
        gaussian_divergences(np.array([[0, np.longdouble("1e400")]]), [1.0])


@pytest.mark.parametrize("metric", ["kl", "bhattacharyya"])
@pytest.mark.parametrize(("condition", "near"), [(1e4, 1e-4), (1e12, 0.5), (1e12, 1e-4)])
def test_the_error_is_that_of_the_condition_number_of_the_covariances(metric, condition, near):
    rng = np.random.default_rng(0)
    root = np.linalg.qr(rng.normal(size=(4, 4)))[0] * np.geomspace(1, condition**-0.5, 4)
    B = np.eye(4) + near * (lambda A: A @ A.swapaxes(1, 2))(rng.normal(size=(3, 4, 4)))
    covariances = root @ B @ root.T
    covariances = (covariances + covariances.swapaxes(1, 2)) / 2
    assert worst_error(metric, np.zeros((3, 4)), covariances) < 4 * (1e-13 + 1e-16 * condition)
