"""The features that stand for a bin: their distortion is proved, not sampled."""

import math

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.testing import assert_allclose

from skdiv import divergences
from skdiv._divergences import terms
from skdiv._divergences.spectra import FINE_JENSEN_SHANNON, HELLINGER, JENSEN_SHANNON, Spectrum

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


# --- The fine spectrum, whose distortion no bound of second derivatives can prove ---

HALF, DEGREE, SAMPLES = 1 / 32, 8, 2_001  # half the length of an interval, and the polynomial and the points on it
QUADRATIC = 2.0  # up to here n − g is compared with v², and from here on with exp v


def coefficients_at_zero(spectrum):
    """The Taylor coefficients of (n − g)/v² at 0, in 40 digits, for there n − g itself loses its digits."""
    with mp.workdps(40):
        of_g = mpmath.taylor(lambda v: v * mpmath.sinh(v) - mpmath.cosh(v) * mpmath.log(mpmath.cosh(v)), 0, 24)
        pairs = [(mpf(2 * w), mpf(x)) for x, w in zip(spectrum.frequencies, spectrum.weights, strict=True)]
        of_n = [mpmath.fsum(w * (1 - (-1) ** k * (2 * x) ** (2 * k)) for w, x in pairs) for k in range(13)]
        return [float(of_n[k] / mpmath.factorial(2 * k) - of_g[2 * k]) for k in range(1, 13)]


def difference(spectrum, v):
    """n(v) − g(v), with ln cosh v = ln(1 + 2 sinh²(v/2)) for its digits near 0."""
    return squared_distance(spectrum, v) - (v * np.sinh(v) - np.cosh(v) * np.log1p(2 * np.sinh(v / 2) ** 2))


def bound_around(spectrum, v):
    """A bound of abs(n − g) in the disks of radius 1 around the points from 0 to v.

    There abs(cosh z) ≤ cosh(v + 1) and abs(ln cosh z) ≤ v + 1 + π, for cos² 1 ≤ abs(cosh z)².
    """
    top, weights, frequencies = np.cosh(v + 1), np.array(spectrum.weights), np.array(spectrum.frequencies)
    return top * (2 * v + 2 + math.pi) + (weights * (2 * top + 2 * np.cosh(2 * frequencies))).sum()


def largest_on_interval(values, bound):
    """A bound of a function on an interval, from its values at equidistant points and a bound in disks of radius 1.

    A polynomial of the degree d that interpolates it at Chebyshev's points errs by at most r = 2 (HALF/2)^(d + 1) times
    the bound, by Cauchy's estimate of the derivative. By Markov's inequality the derivative of a polynomial is at most
    d² times its maximum, where the interval is from −1 to 1, so this is at most that at points with the distance h,
    divided by 1 − d² h/2.
    """
    r = 2 * (HALF / 2) ** (DEGREE + 1) * bound
    return (np.abs(values).max() + r) / (1 - DEGREE**2 / (SAMPLES - 1)) + r


def proved_distortion(spectrum):
    """A bound of abs(n/g − 1) from 0 to FAR.

    On the first intervals it is that of H = (n − g)/v², which is the integral of (1 − t) times the second derivative
    at tv over 0 < t < 1, so that Cauchy's estimates of n − g bound the derivatives of H as well.
    """
    of_intervals = []
    for start in np.arange(0, FAR, 2 * HALF):
        v = np.linspace(start, start + 2 * HALF, SAMPLES)
        if start == 0:
            values, least = np.polynomial.Polynomial(coefficients_at_zero(spectrum))(v**2), 0.499
        elif start < QUADRATIC:
            values, least = difference(spectrum, v) / v**2, (jensen_shannon(v) / v**2).min()
        else:
            decay = np.exp(start - v)
            values, least = difference(spectrum, v) * decay, (jensen_shannon(v) * decay).min()
        factor = 1 if start < QUADRATIC else math.e
        of_intervals.append(largest_on_interval(values, factor * bound_around(spectrum, v[-1])) / least)
    return max(of_intervals)


@pytest.mark.exhaustive
def test_the_distortion_of_the_fine_spectrum_holds_between_all_entries():
    assert proved_distortion(FINE_JENSEN_SHANNON) <= FINE_JENSEN_SHANNON.distortion
    assert np.abs(np.array(ratio_far_out(FINE_JENSEN_SHANNON)) - 1).max() <= FINE_JENSEN_SHANNON.distortion


def test_the_distortion_of_the_fine_spectrum_is_no_larger_than_it_has_to_be():
    ratios = squared_distance(FINE_JENSEN_SHANNON, GRID[GRID > 0.05]) / jensen_shannon(GRID[GRID > 0.05])
    assert np.abs(ratios - 1).max() >= 0.85 * FINE_JENSEN_SHANNON.distortion


@pytest.mark.exhaustive
def test_the_proof_finds_the_distortion_of_a_coarser_spectrum():
    coarse = JENSEN_SHANNON[-1]
    assert 0.95 * coarse.distortion <= proved_distortion(coarse) <= 1.2 * coarse.distortion
