"""Divergences that are estimated from samples, beside those of the distributions that the samples come from."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.spatial.distance import cdist
from scipy.special import rel_entr
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
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert_array_equal(values.diagonal(), 0)


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
