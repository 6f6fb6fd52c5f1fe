"""Divergences that are estimated from samples, beside those of the distributions that the samples come from."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.spatial.distance import cdist
from scipy.special import digamma, rel_entr
from scipy.stats import norm

from skdiv import DivergenceClustering, paired_divergences
from skdiv.models import _samples, sample_divergences


def gaussian_samples(shifts, n, n_features=1, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(shift, 1, (size, n_features)) for shift, size in zip(shifts, n, strict=True)]


def js_of_gaussians(shift):
    """The Jensen-Shannon divergence of two Gaussians of variance 1, by quadrature."""

    def term(x):
        p, q = norm.pdf(x), norm.pdf(x, shift)
        return (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)) / 2

    return quad(term, -12, 12 + shift, limit=200)[0]


def averages(shift, sizes, metric, n_features=1, n_draws=30):
    """The mean of the estimates over draws, and its standard error."""
    draws = [
        sample_divergences(gaussian_samples([0, shift / np.sqrt(n_features)], sizes, n_features, seed), metric)[0, 1]
        for seed in range(n_draws)
    ]
    return np.mean(draws), np.std(draws) / np.sqrt(n_draws)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("sizes", [(400, 400), (200, 600), (600, 200)])
@pytest.mark.parametrize("shift", [0.7, 1.5])
def test_estimates_of_jensen_shannon_are_right_on_average_for_equal_and_unequal_sizes(shift, sizes):
    mean, error = averages(shift, sizes, "js_divergence")
    assert_allclose(mean, js_of_gaussians(shift), atol=4 * error + 0.01)


@pytest.mark.parametrize(("n_features", "bias"), [(1, 0.05), (3, 0.1)])
def test_estimates_of_kullback_leibler_are_right_on_average_but_for_a_small_bias(n_features, bias):
    mean, error = averages(1.0, (1000, 1000), "kl", n_features)
    assert_allclose(mean, 0.5, atol=4 * error + bias)


def test_the_estimate_is_that_of_wang_kulkarni_and_verdu():
    x, y = gaussian_samples([0, 1], [60, 80], 2)
    own, other = np.sort(cdist(x, x), axis=1)[:, 3], np.sort(cdist(x, y), axis=1)[:, 2]
    expected = 2 * np.log(other / own).mean() + np.log(80 / 59)
    assert_allclose(sample_divergences([x, y], n_neighbors=3)[0, 1], expected, rtol=1e-12)


def test_duplicates_give_the_divergence_of_their_shares():
    rng = np.random.default_rng(0)
    shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])
    samples = [rng.choice(3, 3000, p=each).astype(float) for each in shares]
    for metric in ("kl", "js_divergence"):
        expected = paired_divergences(shares[:1], shares[1:], metric)[0]
        assert_allclose(sample_divergences(samples, metric)[0, 1], expected, atol=0.03)


@pytest.mark.parametrize("metric", ["kl", "js_divergence", "js_distance"])
def test_no_estimate_is_negative_or_nan_even_where_all_observations_are_equal(metric):
    samples = [np.zeros(10), np.zeros(20), np.array([0.0] * 8 + [1.0] * 8), np.arange(12.0)]
    values = sample_divergences(samples, metric)
    assert (values >= 0).all()
    assert_array_equal(values.diagonal(), 0)


def shares_of_rounded(mean, spread):
    """The shares of whole numbers from -40 to 140 in a rounded Gaussian."""
    return np.diff(norm.cdf(np.arange(-40, 142) - 0.5, mean, spread))


def rounded(shift):
    def draw(rng, n):
        return np.round(rng.normal(40, 12, n[0])), np.round(rng.normal(40 + shift, 12, n[1]))

    return draw, shares_of_rounded(40, 12), shares_of_rounded(40 + shift, 12)


def discrete(p, q):
    return (lambda rng, n: tuple(rng.choice(len(p), k, p=r) * 1.0 for r, k in zip((p, q), n, strict=True))), p, q


def zero_inflated(p, q):
    """Zeros, and Gaussians whose means differ by 1; their shares in narrow bins."""
    x = np.linspace(-8, 9, 4001)

    def draw(rng, n):
        return rng.normal(0, 1, n[0]) * (rng.random(n[0]) > p), rng.normal(1, 1, n[1]) * (rng.random(n[1]) > q)

    return draw, *(np.r_[r, (1 - r) * norm.pdf(x, m) * (x[1] - x[0])] for r, m in ((p, 0), (q, 1)))


TIED = {
    "years, 3 apart": rounded(3),
    "years, 6 apart": rounded(6),
    "years, 12 apart": rounded(12),
    "discrete": discrete([0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]),
    "zero-inflated": zero_inflated(0.5, 0.3),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("n", [(500, 500), (200, 600)])
@pytest.mark.parametrize("case", TIED)
def test_jensen_shannon_of_tied_samples_is_hardly_biased(case, n):
    draw, p, q = TIED[case]
    truth = (rel_entr(p, (np.array(p) + q) / 2) + rel_entr(q, (np.array(p) + q) / 2)).sum() / 2
    draws = [sample_divergences(draw(np.random.default_rng(s), n), "js_divergence")[0, 1] for s in range(12)]
    assert_allclose(np.mean(draws), truth, atol=3 * np.std(draws) / np.sqrt(12) + 0.004)


@pytest.mark.parametrize("case", TIED)
def test_kullback_leibler_of_tied_samples_is_finite_and_near_the_truth(case):
    draw, p, q = TIED[case]
    draws = [sample_divergences(draw(np.random.default_rng(s), (800, 800)))[0, 1] for s in range(10)]
    truth = rel_entr(p, q).sum()
    assert_allclose(np.mean(draws), truth, atol=3 * np.std(draws) / np.sqrt(10) + 0.06 * truth)


def test_the_estimate_of_ties_is_the_mean_over_random_orders_on_the_surface():
    """Jitter that is small beside the gaps of the grid leaves balls as they are, except for the order of ties."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (30, 2)) * 1.0, rng.integers(1, 7, (40, 2)) * 1.0
    expected = []
    for _ in range(150):  # the distances themselves are jittered, by an amount of their own for each ordered pair
        parts = []
        for p, q in ((x, y), (y, x)):
            own, other = (cdist(p, r) + rng.uniform(0, 1e-6, (len(p), len(r))) for r in (p, q))
            np.fill_diagonal(own, 0)
            k = min(len(p) - 1, round(5 * max(1, len(p) / len(q))))
            c = (other < np.sort(own, axis=1)[:, [k]]).sum(axis=1)
            a = (len(p) - 1) / len(q)
            parts.append(digamma(k) - digamma(k + a * c) - (a - 1) * a * c / (2 * (k + a * c) ** 2))
        expected.append(np.log(2) + (parts[0].mean() + parts[1].mean()) / 2)
    error = np.std(expected) / np.sqrt(len(expected))
    assert_allclose(sample_divergences([x, y], "js_divergence")[0, 1], np.mean(expected), atol=4 * error)
    assert error < 0.002


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (np.zeros(50), np.full(50, 1000.0)),
        (np.zeros(6), np.ones(6)),
        (np.arange(50) % 2, 2 + np.arange(50) % 2),
        (np.arange(50) % 2, 1 + np.arange(50) % 2),
        (np.arange(1000) % 10 * 2, np.arange(1000) % 10 * 2 + 1),
        (np.full((50, 2), 5.0), np.random.default_rng(0).normal(5, 1, (50, 2))),
    ],
)
def test_kullback_leibler_is_infinite_where_frequent_values_are_missing(p, q):
    values = sample_divergences([p, q, p])
    assert values[0, 1] == np.inf
    assert values[0, 2] < 0.02
    assert np.isfinite(sample_divergences([p, q], "js_divergence")).all()


def test_tiny_values_beside_huge_ones_count_in_one_dimension():
    tiny, huge = gaussian_samples([3, 3], [100, 100])
    values = sample_divergences([tiny * 1e-200, huge * 1e200])
    expected = sample_divergences([tiny * 1e-20, huge * 1e20])
    assert_allclose(values[0, 1] - expected[0, 1], 360 * np.log(10), rtol=1e-12)
    assert expected[1, 0] > 0


@pytest.mark.parametrize("side", [_samples._SIDE, 2])  # The rows lie in one tile or in two.
def test_the_distance_is_the_root_and_a_base_changes_the_unit(side, monkeypatch):
    monkeypatch.setattr(_samples, "_SIDE", side)
    samples = gaussian_samples([0, 1, 3], [100, 120, 80])
    divergence = sample_divergences(samples, "js_divergence")
    assert_array_equal(divergence, divergence.T)
    assert_allclose(sample_divergences(samples, "js_distance") ** 2, divergence, rtol=1e-12)
    assert_allclose(sample_divergences(samples, "js_divergence", base=2), divergence / np.log(2), rtol=1e-12)
    kl = sample_divergences(samples)
    assert_array_equal(sample_divergences(samples, symmetrize="mean"), (kl + kl.T) / 2)


@pytest.mark.exhaustive
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_the_bits_are_the_same_for_any_number_of_workers(backend):
    samples = gaussian_samples(np.arange(20), [30] * 20)
    with parallel_config(backend):
        assert_array_equal(sample_divergences(samples, n_jobs=2), sample_divergences(samples, n_jobs=1))


def test_samples_are_clustered_by_their_estimates():
    samples = gaussian_samples([0, 0, 0, 2, 2, 2], [200, 150, 100] * 2, 2)
    distances = sample_divergences(samples, "js_distance")
    labels = DivergenceClustering(2, metric="precomputed").fit_predict(distances)
    assert (labels == labels[[0, 0, 0, 3, 3, 3]]).all()
    assert labels[0] != labels[3]


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        ([], {}, "samples is empty"),
        ([[1.0, 2, 3]], {}, r"samples\[0\] has 3 observations, but n_neighbors = 5"),
        ([np.zeros((9, 2)), np.zeros((9, 3))], {}, r"samples\[0\] has 2 features and samples\[1\] has 3"),
        ([np.arange(9.0), np.r_[np.nan, np.arange(9.0)]], {}, r"samples\[1\].*nan"),
        ([np.zeros((9, 1, 1))], {}, r"samples\[0\] must be of shape"),
        ([np.arange(9.0)], {"metric": "hellinger"}, "hellinger"),
        ([np.arange(9.0)], {"n_neighbors": 0}, "n_neighbors"),
    ],
)
def test_what_cannot_be_estimated_is_refused(samples, options, message):
    with pytest.raises(ValueError, match=message):
        sample_divergences(samples, **options)


@pytest.mark.parametrize("metric", ["kl", "js_divergence"])
@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-600, 2.0**1000])
def test_the_unit_changes_nothing_however_small_or_large(metric, unit):
    """The squares of the distances would overflow or underflow."""
    samples = gaussian_samples([0, 1], [100, 150], 2)
    scaled = [unit * sample for sample in samples]
    assert_array_equal(sample_divergences(scaled, metric), sample_divergences(samples, metric))


def test_frames_with_other_columns_are_refused():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["height", "weight"])
    sample_divergences([frame, frame.iloc[5:], frame.to_numpy()])
    with pytest.raises(ValueError, match=r"Column 0 of samples\[0\] is 'height' and of samples\[1\] 'weight'"):
        sample_divergences([frame, frame[["weight", "height"]]])


@pytest.mark.parametrize("samples", [pd.DataFrame({"a": np.arange(9.0)}), {"a": np.arange(9.0)}, {0: np.arange(9.0)}])
def test_a_frame_or_a_dict_of_samples_is_refused_with_a_remedy(samples):
    """Python goes through the names in them."""
    with pytest.raises(TypeError, match=r"samples is a (DataFrame|dict).*names.*list"):
        sample_divergences(samples)
