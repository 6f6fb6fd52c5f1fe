"""Divergences between Gaussian mixtures: quadrature in one and two dimensions, closed forms, long simulations."""

import re

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy.special import rel_entr
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from skdiv import DivergenceClustering, pairwise_divergences
from skdiv.models import _mixtures, gaussian_divergences, mixture_divergences

METRICS = ["kl", "js_divergence", "js_distance"]
COVARIANCES = ["full", "tied", "diag", "spherical"]
GRID = np.linspace(-60, 60, 12_001)


def mixture(weights, means, variances):
    """A mixture of spherical Gaussians with these parameters, as if it were fitted."""
    made = GaussianMixture(len(weights), covariance_type="spherical")
    made.weights_, made.covariances_ = np.array(weights, dtype=float), np.array(variances, dtype=float)
    made.means_ = np.array(means, dtype=float).reshape(len(weights), -1)
    made.precisions_cholesky_ = np.maximum(made.covariances_, 1e-300) ** -0.5
    return made


def random_mixtures(n, spread=1.0, seed=0):
    """Mixtures of one to five components in one dimension, whose means differ by about ``spread``."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 6, n)
    return [mixture(rng.dirichlet(np.ones(k)), rng.normal(0, spread, k), rng.gamma(4, 0.25, k)) for k in numbers]


def fitted(covariance_type="full", n_features=2, seed=0, kind=GaussianMixture):
    rng = np.random.default_rng(seed)
    X = np.concatenate([rng.normal(rng.normal(0, 2, n_features), rng.uniform(0.5, 2), (60, n_features)) for _ in "ab"])
    return kind(n_components=2, covariance_type=covariance_type, random_state=0).fit(X)


def by_quadrature(mixtures, metric):
    """The divergences of the densities on a fine grid, to which a smallest number is added as they may underflow."""
    densities = np.exp([each.score_samples(GRID[:, np.newaxis]) for each in mixtures]) + 1e-290
    return pairwise_divergences(densities, metric=metric)


def in_the_plane(p, q, metric):
    """The divergence of two mixtures by a sum over a grid in two dimensions, from SciPy's terms."""
    axis = np.linspace(-25, 25, 251)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    f, g = ((np.exp(each.score_samples(points)) + 1e-290) * (axis[1] - axis[0]) ** 2 for each in (p, q))
    m = (f + g) / 2
    value = rel_entr(f, g).sum() if metric == "kl" else (rel_entr(f, m) + rel_entr(g, m)).sum() / 2
    return np.sqrt(value) if metric == "js_distance" else value


# --- Simulation ---


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spread", [0.3, 4.0])
def test_a_simulation_agrees_with_quadrature_within_its_errors(metric, spread):
    mixtures = random_mixtures(8, spread)
    D, errors = mixture_divergences(mixtures, metric, return_standard_error=True, random_state=0)
    off = ~np.eye(8, dtype=bool)
    truth = by_quadrature(mixtures, metric)[off]
    scores = (D[off] - truth) / errors[off]
    assert np.abs(scores).max() < 4.5
    assert np.square(scores).mean() < 2
    assert (errors[off] < 0.15 * truth).all()


@pytest.mark.sampled(5)
@pytest.mark.parametrize("metric", ["kl", "js_distance"])
@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_fitted_mixtures_in_the_plane_agree_with_quadrature(metric, covariance_type):
    p, q = fitted(covariance_type, seed=1), fitted("full", seed=2)
    D, errors = mixture_divergences([p, q], metric, return_standard_error=True, random_state=1)
    for i, j, truth in [(0, 1, in_the_plane(p, q, metric)), (1, 0, in_the_plane(q, p, metric))]:
        assert abs(D[i, j] - truth) < 4 * errors[i, j]
        assert errors[i, j] < 0.05 * truth


@pytest.mark.sampled(2)
@pytest.mark.parametrize("metric", METRICS)
def test_the_standard_error_is_that_of_repeated_simulations(metric):
    p, q = random_mixtures(2, seed=3)
    (truth,) = by_quadrature([p, q], metric)[:1, 1]
    runs = [mixture_divergences([p, q], metric, n_samples=400, return_standard_error=True, random_state=seed)
            for seed in range(200)]  # fmt: skip
    scores = np.array([(D[0, 1] - truth) / errors[0, 1] for D, errors in runs])
    assert 0.85 < scores.std() < 1.15
    assert abs(scores.mean()) < 0.3


def test_four_times_as_many_points_halve_the_error():
    mixtures = random_mixtures(4)
    errors = [mixture_divergences(mixtures, n_samples=n, return_standard_error=True, random_state=0)[1]
              for n in (5_000, 20_000)]  # fmt: skip
    off = ~np.eye(4, dtype=bool)
    assert np.median(errors[0][off] / errors[1][off]) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shift", [1e-6, 1e-3, 0.1, 1])
def test_a_small_divergence_has_a_small_error(metric, shift):
    """About 1 % for 10,000 points, however near; the plain mean of ln(p/q) has an error of 2/shift %."""
    mixtures = [mixture([1], [0], [1]), mixture([1], [shift], [1])]
    D, errors = mixture_divergences(mixtures, metric, return_standard_error=True, random_state=0)
    kl = shift**2 / 2
    expected = {"kl": kl, "js_divergence": kl / 4, "js_distance": np.sqrt(kl) / 2}[metric]
    if shift < 0.5 or metric == "kl":
        assert abs(D[0, 1] - expected) < 4 * errors[0, 1]
    assert 0 < errors[0, 1] < 0.011 * D[0, 1]


def test_far_mixtures_do_not_overflow():
    mixtures = [mixture([1], [0], [1]), mixture([0.5, 0.5], [1e4, 1e4 + 5], [1, 2]), mixture([1], [1e8], [1])]
    D = mixture_divergences(mixtures, random_state=0)
    assert D[0, 2] == pytest.approx(gaussian_divergences([[0.0], [1e8]], [1.0, 1.0])[0, 1], rel=1e-3)
    assert np.isfinite(D).all()
    near = [mixture([1], [0], [1]), mixture([1], [50], [1])]  # where shares of densities underflow at all points
    D, errors = mixture_divergences(near, n_samples=100_000, return_standard_error=True, random_state=0)
    assert abs(D[0, 1] - 1250) < 4 * errors[0, 1] < 1
    np.testing.assert_allclose(
        mixture_divergences(mixtures, "js_divergence", base=2, random_state=0), 1 - np.eye(3), rtol=1e-12
    )


@pytest.mark.parametrize("metric", METRICS)
def test_equal_mixtures_are_at_exactly_zero_and_none_is_below(metric):
    mixtures = [fitted(seed=seed) for seed in (0, 0, 1, 1)]
    D, errors = mixture_divergences(mixtures, metric, n_samples=100, return_standard_error=True, random_state=0)
    assert D[0, 1] == D[3, 2] == errors[0, 1] == errors[3, 2] == 0
    assert (D >= 0).all()
    assert (D.diagonal() == 0).all()
    if metric != "kl":
        np.testing.assert_array_equal(D, D.T)
        np.testing.assert_array_equal(errors, errors.T)


def test_the_error_of_the_distance_is_that_of_its_square_over_twice_the_distance():
    of_square, of_distance = (
        mixture_divergences(random_mixtures(4), metric, n_samples=500, return_standard_error=True, random_state=0)
        for metric in ("js_divergence", "js_distance")
    )
    np.testing.assert_allclose(of_distance[1] * 2 * of_distance[0], of_square[1], rtol=1e-12)


@pytest.mark.parametrize("symmetrize", ["mean", "min", "max"])
def test_both_directions_become_one_number(symmetrize):
    mixtures = random_mixtures(5)
    D, errors = mixture_divergences(mixtures, n_samples=500, return_standard_error=True, random_state=0)
    one, its_errors = mixture_divergences(
        mixtures, n_samples=500, return_standard_error=True, symmetrize=symmetrize, random_state=0
    )
    expected = {"mean": (D + D.T) / 2, "min": np.minimum(D, D.T), "max": np.maximum(D, D.T)}[symmetrize]
    np.testing.assert_allclose(one, expected, rtol=1e-12)
    np.testing.assert_array_equal(one, one.T)
    np.testing.assert_array_equal(its_errors, its_errors.T)
    assert (its_errors <= np.maximum(errors, errors.T) * (1 + 1e-12)).all()
    if symmetrize != "mean":
        np.testing.assert_array_equal(its_errors, np.where(one == D, errors, errors.T))


def test_the_error_of_the_mean_knows_that_both_directions_share_their_points():
    p, q = random_mixtures(2, seed=5)
    runs = [mixture_divergences([p, q], n_samples=300, symmetrize="mean", return_standard_error=True, random_state=seed)
            for seed in range(200)]  # fmt: skip
    values, errors = (np.array([run[k][0, 1] for run in runs]) for k in (0, 1))
    assert values.std() == pytest.approx(errors.mean(), rel=0.2)


@pytest.mark.parametrize("metric", METRICS)
def test_a_base_converts_estimates_and_errors(metric):
    mixtures = random_mixtures(3)
    unit = np.log(2) if metric != "js_distance" else np.sqrt(np.log(2))
    in_nats, in_bits = (
        mixture_divergences(mixtures, metric, base=base, n_samples=50, return_standard_error=True, random_state=0)
        for base in (None, 2)
    )
    for nats, bits in zip(in_nats, in_bits, strict=True):
        np.testing.assert_allclose(bits, nats / unit, rtol=1e-14)


@pytest.mark.parametrize("method", ["monte_carlo", "variational"])
def test_any_number_of_workers_and_any_tiles_give_the_same(method, monkeypatch):
    mixtures = [fitted(COVARIANCES[seed % 4], seed=seed) for seed in range(7)]

    def matrix(n_jobs=None):
        return mixture_divergences(mixtures, method=method, n_samples=50, n_jobs=n_jobs, random_state=3)

    expected = matrix()
    monkeypatch.setattr(_mixtures, "_SIDE", 2)
    np.testing.assert_allclose(matrix(), expected, rtol=1e-12)
    expected = matrix()
    monkeypatch.setattr(_mixtures, "_NANOSECONDS_OF_DENSITY", 1e9)  # so that it is worth workers
    monkeypatch.setattr(_mixtures, "_NANOSECONDS_OF_ENTRY", 1e9)
    monkeypatch.setattr(_mixtures.Components, "side", 2)
    expected = expected if method == "monte_carlo" else matrix()
    with parallel_config("threading"):
        np.testing.assert_array_equal(matrix(n_jobs=2), expected)


def test_random_states_are_as_in_scikit_learn_and_those_of_the_mixtures_stay():
    mixtures = [fitted(seed=seed) for seed in range(3)]
    for each in mixtures:
        each.set_params(random_state=np.random.RandomState(0))
    parameters = [each.means_.copy() for each in mixtures]
    first = mixture_divergences(mixtures, n_samples=50, random_state=7)
    np.testing.assert_array_equal(mixture_divergences(mixtures, n_samples=50, random_state=7), first)
    generator = np.random.RandomState(7)
    np.testing.assert_array_equal(mixture_divergences(mixtures, n_samples=50, random_state=generator), first)
    assert (mixture_divergences(mixtures, n_samples=50, random_state=generator) != first).any()
    for each, means in zip(mixtures, parameters, strict=True):
        np.testing.assert_array_equal(each.means_, means)
        assert each.random_state.randint(100) == np.random.RandomState(0).randint(100)


# --- Bayesian mixtures and frames ---


def test_a_bayesian_mixture_is_the_distribution_that_it_draws_from():
    """Its own score_samples is no density: it integrates to less than one."""
    bayesian = fitted(seed=1, kind=BayesianGaussianMixture)
    plain = GaussianMixture(2)
    for name in (*_mixtures._PARAMETERS, "precisions_cholesky_"):
        setattr(plain, name, getattr(bayesian, name))
    other = fitted(seed=2)
    for method in ("monte_carlo", "variational"):
        D = mixture_divergences([bayesian, plain, other], method=method, random_state=0)
        assert D[0, 1] == pytest.approx(0, abs=1e-14)
    D, errors = mixture_divergences([bayesian, other], return_standard_error=True, random_state=0)
    assert abs(D[0, 1] - in_the_plane(plain, other, "kl")) < 4 * errors[0, 1]


def test_mixtures_of_frames_are_compared_by_the_names_of_their_features():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=["a", "b"])
    one, other = GaussianMixture(1).fit(X), GaussianMixture(2, random_state=0).fit(X)
    assert mixture_divergences([one, other], random_state=0).max() > 0
    swapped = GaussianMixture(1).fit(X[["b", "a"]])
    with pytest.raises(ValueError, match=r"Column 0 of mixtures\[0\] is 'a' and of mixtures\[1\] 'b'"):
        mixture_divergences([one, swapped])


# --- The variational approximation ---


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_of_single_gaussians_it_is_the_closed_form(covariance_type):
    rng = np.random.default_rng(0)
    mixtures = [GaussianMixture(1, covariance_type=covariance_type).fit(rng.normal(size=(9, 3))) for _ in range(4)]
    means = np.concatenate([each.means_ for each in mixtures])
    covariances = np.array(
        [each.covariances_ if covariance_type == "tied" else each.covariances_[0] for each in mixtures]
    )
    expected = gaussian_divergences(means, covariances)
    np.testing.assert_allclose(mixture_divergences(mixtures, method="variational"), expected, rtol=1e-12)
    simulated, errors = mixture_divergences(mixtures, return_standard_error=True, random_state=0)
    assert (np.abs(simulated - expected) <= 4 * errors).all()


def test_it_is_the_formula_of_hershey_and_olsen():
    mixtures = random_mixtures(6, 3.0)
    D = mixture_divergences(mixtures, method="variational", base=2)
    for i, j in [(0, 1), (4, 2), (5, 3)]:
        p, q = mixtures[i], mixtures[j]
        means = np.concatenate([p.means_, q.means_])
        factors = np.exp(-gaussian_divergences(means, np.concatenate([p.covariances_, q.covariances_])))
        n = len(p.weights_)
        own, other = factors[:n, :n] @ p.weights_, factors[:n, n:] @ q.weights_
        assert D[i, j] == pytest.approx(max(0, p.weights_ @ np.log2(own / other)), rel=1e-12)


def test_covariances_of_all_kinds_go_together():
    mixtures = [fitted(kind, seed=seed) for seed, kind in enumerate(COVARIANCES)]
    D = mixture_divergences(mixtures, method="variational")
    full = []
    for each in mixtures:
        spread = _mixtures._spreads(each, full=True)
        made = GaussianMixture(2)
        made.weights_, made.means_, made.covariances_ = each.weights_, each.means_, spread
        made.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(spread))
        full.append(made)
    np.testing.assert_allclose(mixture_divergences(full, method="variational"), D, rtol=1e-10)


def test_components_without_overlap_leave_the_divergences_of_their_pairs():
    """Exponentials underflow, and their logarithms must not."""
    p = mixture([0.25, 0.75], [0, 1e5], [1, 1])
    q = mixture([0.5, 0.5], [100, 1e5 - 100], [1, 1])
    expected = 0.25 * np.log(0.25 / 0.5) + 0.75 * np.log(0.75 / 0.5) + 5000
    assert mixture_divergences([p, q], method="variational")[0, 1] == pytest.approx(expected, rel=1e-12)


def test_it_is_as_good_as_the_notes_say():
    mixtures = random_mixtures(80)
    truth, D = by_quadrature(mixtures, "kl"), mixture_divergences(mixtures, method="variational")
    near, far = (truth > 0.1) & (truth < 0.3), (truth > 3) & (truth < 10)
    assert np.quantile(D[near] / truth[near], [0.25, 0.75]).round(2).tolist() == [0.54, 1.92]
    assert np.mean(D[near] == 0) == pytest.approx(1 / 13, rel=0.1)
    low, high = np.quantile(D[far] / truth[far], [0.05, 0.95])
    assert 0.9 < low < high < 1.1
    truth, D = (truth + truth.T) / 2, mixture_divergences(mixtures, method="variational", symmetrize="mean")
    near = (truth > 0.1) & (truth < 0.3)
    assert np.quantile(D[near] / truth[near], [0.25, 0.75]).round(2).tolist() == [0.98, 1.43]
    assert (D[near] > 0).all()


def test_of_jensen_shannon_it_would_be_twice_the_divergence_between_near_gaussians():
    """KL(p ‖ ½ p + ½ q) would be ln 2 − ln(1 + exp(−KL(p ‖ q)))."""
    for shift, ratio in [(0.01, 2), (0.5, 2), (1, 2)]:
        kl = shift**2 / 2
        approximation = np.log(2) - np.log1p(np.exp(-kl))
        truth = by_quadrature([mixture([1], [0], [1]), mixture([1], [shift], [1])], "js_divergence")[0, 1]
        assert approximation / truth == pytest.approx(ratio, rel=0.03)


@pytest.mark.parametrize("symmetrize", ["mean", "min", "max"])
def test_none_is_below_zero_after_both_directions_have_become_one(symmetrize):
    mixtures = random_mixtures(30, 0.3)
    one = mixture_divergences(mixtures, method="variational", symmetrize=symmetrize)
    assert (one >= 0).all()
    assert (one[~np.eye(30, dtype=bool)] == 0).any() == (symmetrize == "min")
    np.testing.assert_array_equal(one, one.T)


# --- In use ---


def test_mixtures_are_clustered_by_their_divergences():
    rng = np.random.default_rng(0)
    origins = rng.permutation(np.repeat([0, 1, 2], 3))
    centers = np.array([[0, 0, 3], [0, 3, 3], [0, 1, 2]])
    mixtures = [
        GaussianMixture(3, random_state=0).fit(rng.normal(rng.choice(centers[origin], 300), 0.5)[:, np.newaxis])
        for origin in origins
    ]
    D = mixture_divergences(mixtures, "js_distance", n_samples=1000, random_state=0)
    labels = DivergenceClustering(3, metric="precomputed").fit_predict(D)
    assert len({*zip(origins, labels, strict=True)}) == 3


# --- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"metric": "hellinger"}, r"metric = 'hellinger' must be one of \('kl', 'js_divergence', 'js_distance'\)"),
        ({"method": "sampling"}, "method = 'sampling' must be 'monte_carlo' or 'variational'"),
        ({"method": "variational", "metric": "js_distance"}, "wrong by a factor of 2.*Use method='monte_carlo'"),
        ({"method": "variational", "return_standard_error": True}, "has no standard error"),
        ({"n_samples": 1}, "n_samples == 1, must be >= 2"),
        ({"symmetrize": "sum"}, "symmetrize = 'sum' must be one of"),
        ({"base": 1}, "base = 1 must be a finite number above 1"),
    ],
)
def test_bad_arguments_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        mixture_divergences(random_mixtures(2), **parameters)


def test_bad_mixtures_are_refused_by_name():
    good = fitted()
    with pytest.raises(NotFittedError, match=re.escape("mixtures[1] is not fitted; call its method fit first.")):
        mixture_divergences([good, GaussianMixture()])
    with pytest.raises(ValueError, match=r"mixtures\[0\] has 2 features and mixtures\[2\] has 3"):
        mixture_divergences([good, good, fitted(n_features=3)])
    with pytest.raises(ValueError, match="mixtures is empty"):
        mixture_divergences([])
    with pytest.raises(TypeError, match="mixtures is a single mixture; pass a list"):
        mixture_divergences(good)
    with pytest.raises(TypeError, match=r"mixtures\[1\] is of type KMeans"):
        mixture_divergences([good, KMeans()])
    with pytest.raises(ValueError, match=r"mixtures\[1\]: covariances\[1, 0\] = 0.0"):
        mixture_divergences([mixture([1], [0], [1]), mixture([0.5, 0.5], [0, 1], [1, 0])])
    with pytest.raises(
        ValueError, match=r"mixtures\[0\].weights_ = \[-0.5, 1.5\] must not be negative, and must sum to 1"
    ):
        mixture_divergences([mixture([-0.5, 1.5], [0, 1], [1, 1])])


# --- Units, precision, weights ---------------------------------------------------------------------------------------


def of_kind(covariance_type, mean, variance):
    """A single Gaussian in the plane, as if it were fitted."""
    made = GaussianMixture(1, covariance_type=covariance_type)
    made.weights_, made.means_ = np.ones(1), np.array([[mean, mean]], dtype=float)
    shape = {"full": (1, 2, 2), "tied": (2, 2), "diag": (1, 2), "spherical": (1,)}[covariance_type]
    made.covariances_ = np.broadcast_to(variance * (np.eye(2) if len(shape) > 1 and shape[-2:] == (2, 2) else 1), shape)
    return made


@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_an_origin_far_away_changes_nothing(covariance_type):
    """scikit-learn's own densities lose all digits there: with times in seconds since 1970, 0.5 nats became 5."""
    near, far = ([of_kind(covariance_type, origin + shift, 100.0) for shift in (0, 10)] for origin in (0, 1.7e9))
    expected = mixture_divergences(near, n_samples=500, random_state=0)
    np.testing.assert_allclose(mixture_divergences(far, n_samples=500, random_state=0), expected, rtol=1e-5)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("method", ["monte_carlo", "variational"])
@pytest.mark.parametrize("covariance_type", COVARIANCES)
def test_mixtures_that_were_fitted_in_single_precision_are_those_of_double(covariance_type, method):
    """The covariance matrices of such mixtures are symmetric to the rounding of float32 alone."""
    rng = np.random.default_rng(0)
    samples = [rng.normal(shift, 1, (90, 3)) @ rng.normal(size=(3, 3)) for shift in range(3)]

    def divergences(dtype):
        mixtures = [GaussianMixture(2, covariance_type=covariance_type, random_state=0) for _ in samples]
        mixtures = [each.fit(sample.astype(dtype)) for each, sample in zip(mixtures, samples, strict=True)]
        return mixture_divergences(mixtures, method=method, n_samples=500, random_state=0)

    np.testing.assert_allclose(divergences(np.float32), divergences(np.float64), rtol=1e-2)


def test_weights_that_sum_to_one_but_for_rounding_are_divided_by_their_sum():
    exact, rounded = mixture([0.5, 0.5], [0, 3], [1, 1]), mixture([0.500003, 0.500003], [0, 3], [1, 1])
    assert mixture_divergences([exact, rounded], n_samples=100, random_state=0).max() < 1e-30


@pytest.mark.parametrize("method", ["monte_carlo", "variational"])
def test_a_component_without_weight_is_as_if_it_were_not_there(method):
    """A Bayesian mixture with many components has such: their weights underflow."""
    plain, padded, other = mixture([1], [0], [1]), mixture([1, 0], [0, 50], [1, 1]), mixture([1], [1], [1])
    expected = mixture_divergences([plain, other], method=method, random_state=0)
    np.testing.assert_allclose(mixture_divergences([padded, other], method=method, random_state=0), expected, rtol=1e-9)


def test_mixtures_without_any_overlap_are_infinitely_far_or_at_the_bound():
    far = [mixture([1], [0], [1]), mixture([1], [1e180], [1])]
    D, errors = mixture_divergences(far, n_samples=50, return_standard_error=True, random_state=0)
    assert D.tolist() == errors.tolist() == [[0, np.inf], [np.inf, 0]]
    D, errors = mixture_divergences(far, "js_divergence", base=2, return_standard_error=True, random_state=0)
    np.testing.assert_allclose(D, 1 - np.eye(2), rtol=1e-12)
    assert errors.max() < 1e-12


def test_mixtures_may_come_from_a_generator():
    mixtures = random_mixtures(3)
    expected = mixture_divergences(mixtures, n_samples=50, random_state=0)
    np.testing.assert_array_equal(mixture_divergences(iter(mixtures), n_samples=50, random_state=0), expected)
