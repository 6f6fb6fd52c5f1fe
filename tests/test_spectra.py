"""The features that stand for a bin: their distortion is proved, not sampled."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdiv import divergences
from skdiv._divergences import terms
from skdiv._divergences.spectra import HELLINGER, JENSEN_SHANNON, Spectrum

NEAR, FAR = 1e-3, 30.0  # where the grid begins and ends
GRID = np.concatenate([np.geomspace(NEAR, 1, 7_001), np.linspace(1, FAR, 30_001)[1:]])

# With v = ½ ln(p/q), both the squared distance of the features and the term of Jensen-Shannon are √(pq) times a
# function of v: n(v) = sum of w (2 cosh v − 2 cos 2ωv), and g(v) = v sinh v − cosh v ln cosh v. Their second
# derivatives are n″(v) = sum of w (2 cosh v + 8ω² cos 2ωv), and g″(v) = g(v) + 1 / cosh v.


def squared_distance(spectrum, v):
    frequencies, weights = np.array(spectrum.frequencies), np.array(spectrum.weights)
    v = np.asarray(v)[..., np.newaxis]
    return (weights * (4 * np.sinh(v / 2) ** 2 + 4 * np.sin(frequencies * v) ** 2)).sum(axis=-1)


def jensen_shannon(v):
    return v * np.sinh(v) - np.cosh(v) * np.log(np.cosh(v))


def least_margin_on_the_grid(spectrum):
    """Return a number that is not negative only if abs(n(v)/g(v) − 1) is at most the distortion all over the grid.

    It bounds (1 + e) g − n and n − (1 − e) g from below, with e the distortion: between two points at a distance h a
    function is at least the lesser of its two values less h²/8 times the largest absolute second derivative.
    """
    n, g = squared_distance(spectrum, GRID), jensen_shannon(GRID)
    h, far = np.diff(GRID), GRID[1:]
    weights, frequencies = np.array(spectrum.weights), np.array(spectrum.frequencies)
    of_n = 2 * weights.sum() * np.cosh(far) + 8 * (weights * frequencies**2).sum()
    of_g = g[1:] + 1
    slack = h**2 / 8 * (of_n + (1 + spectrum.distortion) * of_g)
    above = (1 + spectrum.distortion) * g - n
    below = n - (1 - spectrum.distortion) * g
    return min((np.minimum(f[:-1], f[1:]) - slack).min() for f in (above, below))


def ratio_near_zero(spectrum):
    """Return bounds of n(v)/g(v) for 0 < v ≤ NEAR.

    With r = n″(0) / g″(0), the function n − r g and its first three derivatives are 0 at 0, so it is at most v⁴/24
    times the largest fourth derivative; and g(v) ≥ v²/2 / cosh NEAR, because g″ ≥ 1 / cosh v.
    """
    weights, frequencies = np.array(spectrum.weights), np.array(spectrum.frequencies)
    r = (weights * (2 + 8 * frequencies**2)).sum()
    fourth_of_n = (weights * (2 * math.cosh(NEAR) + 32 * frequencies**4)).sum()
    fourth_of_g = jensen_shannon(NEAR) + 2  # g⁗ = g + sech + sech″, and sech″ lies between −1 and 1
    error = NEAR**2 / 12 * (fourth_of_n + r * fourth_of_g) * math.cosh(NEAR)
    return r - error, r + error


def ratio_far_out(spectrum):
    """Return bounds of n(v)/g(v) for v ≥ FAR, and for a bin in which one of the two distributions is 0.

    n lies within 2 sum(w) (cosh v ± 1), and g / cosh v between ln 2 − (2v + 1) exp(−2v) and ln 2.
    """
    total = 2 * sum(spectrum.weights)
    least = math.log(2) - (2 * FAR + 1) * math.exp(-2 * FAR)
    return total * (1 - 1 / math.cosh(FAR)) / math.log(2), total * (1 + 1 / math.cosh(FAR)) / least


@pytest.mark.parametrize("spectrum", JENSEN_SHANNON, ids=lambda spectrum: f"{spectrum.n_features} features")
class TestDistortionOfJensenShannon:
    def test_holds_between_all_points_of_a_grid(self, spectrum):
        assert least_margin_on_the_grid(spectrum) >= 0

    def test_holds_for_entries_that_nearly_agree(self, spectrum):
        assert np.abs(np.array(ratio_near_zero(spectrum)) - 1).max() <= spectrum.distortion

    def test_holds_for_entries_far_apart_and_for_zeros(self, spectrum):
        assert np.abs(np.array(ratio_far_out(spectrum)) - 1).max() <= spectrum.distortion

    def test_is_no_larger_than_it_has_to_be(self, spectrum):
        ratios = squared_distance(spectrum, GRID) / jensen_shannon(GRID)
        assert np.abs(ratios - 1).max() >= 0.99 * spectrum.distortion

    def test_the_proof_fails_for_a_distortion_that_is_a_hundredth_too_small(self, spectrum):
        assert (
            least_margin_on_the_grid(Spectrum(spectrum.frequencies, spectrum.weights, 0.99 * spectrum.distortion)) < 0
        )

    def test_the_functions_of_the_proof_are_those_of_the_library(self, spectrum):
        v = np.array([1e-3, 0.1, 1, 4, 20])
        p, q = np.exp(v) / 1e9, np.exp(-v) / 1e9
        distance = sum(
            (one - other) ** 2 for one, other in zip(spectrum.features(p), spectrum.features(q), strict=True)
        )
        assert_allclose(distance, 1e-9 * squared_distance(spectrum, v), rtol=1e-6)
        assert_allclose(terms.jensen_shannon(p, q), 1e-9 * jensen_shannon(v), rtol=1e-9)


def test_there_is_a_spectrum_for_each_number_of_features_from_one_to_nine():
    assert [spectrum.n_features for spectrum in JENSEN_SHANNON] == list(range(1, 10))


def test_more_features_distort_less():
    distortions = [spectrum.distortion for spectrum in JENSEN_SHANNON]
    assert distortions == sorted(distortions, reverse=True)


def test_squared_hellinger_is_exact():
    p, q = np.array([0.0, 0.3, 1e-300]), np.array([0.2, 0.1, 0.0])
    ((of_p,), (of_q,)) = (HELLINGER[0].features(row) for row in (p, q))
    assert_allclose((of_p - of_q) ** 2, terms.squared_hellinger(p, q), rtol=1e-12)
    assert HELLINGER[0].distortion == 0


def test_an_empty_bin_has_no_features():
    assert not np.any(JENSEN_SHANNON[4].features(np.zeros(3)))


@pytest.mark.parametrize("name", ["js_distance", "js_divergence", "hellinger"])
def test_the_records_know_their_spectra(name):
    record = divergences()[name]
    assert record.spectra == (HELLINGER if name == "hellinger" else JENSEN_SHANNON)
