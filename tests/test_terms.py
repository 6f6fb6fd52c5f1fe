"""Each term against 50-digit arithmetic, bin by bin: not the sum alone is accurate."""

import mpmath
import numpy as np
import oracle
import pytest
from mpmath import mp, mpf

from skdiv._divergences import terms


def alpha_definition(alpha):
    def definition(p, q):
        return (p**alpha * q ** (1 - alpha) - alpha * p - (1 - alpha) * q) / (alpha * (alpha - 1))

    return definition


DEFINITIONS = {
    "kl": (terms.kl, lambda p, q: p * mpmath.log(p / q) - p + q),
    "jeffreys": (terms.jeffreys, lambda p, q: (p - q) * mpmath.log(p / q)),
    "jensen_shannon": (
        terms.jensen_shannon,
        lambda p, q: (p * mpmath.log(2 * p / (p + q)) + q * mpmath.log(2 * q / (p + q))) / 2,
    ),
    **{
        f"weighted_jensen_shannon {share}": (
            lambda p, q, share=share: terms.weighted_jensen_shannon(p, q, share, 1 - share),
            lambda p, q, share=share: (
                share * p * mpmath.log(p / (share * p + (1 - share) * q))
                + (1 - share) * q * mpmath.log(q / (share * p + (1 - share) * q))
            ),
        )
        for share in (0.5, 0.25, 2.0**-20, 1 - 2.0**-10)
    },
    "squared_hellinger": (terms.squared_hellinger, lambda p, q: (mpmath.sqrt(p) - mpmath.sqrt(q)) ** 2 / 2),
    "total_variation": (terms.total_variation, lambda p, q: abs(p - q) / 2),
    "chi2": (terms.chi2, lambda p, q: (p - q) ** 2 / q),
    **{
        f"alpha {alpha}": (
            lambda p, q, alpha=alpha: terms.alpha_divergence(p, q, alpha),
            alpha_definition(mpf(alpha)),
        )
        for alpha in (0.01, 0.5, 1 + 2.0**-20, 2, 50)
    },
}
STEPS = np.concatenate([-(10.0 ** np.arange(-14, 0, 0.25)), 10.0 ** np.arange(-14, 4, 0.25), [-0.5, 0.5, -0.51, 0.51]])


@pytest.mark.parametrize("name", DEFINITIONS)
@pytest.mark.parametrize("q", [0.3, 1e-5, 1e-200])
def test_a_term_is_accurate_for_any_ratio(name, q):
    term, definition = DEFINITIONS[name]
    p = q * (1 + STEPS)
    with mp.workdps(oracle.DIGITS + 30):
        for value, weight in zip(term(p, np.full_like(p, q)), p, strict=True):
            truth = definition(mpf(float(weight)), mpf(q))
            if abs(truth) > 1e-280 and (not name.startswith("alpha 50") or weight < 2 * q):
                assert oracle.relative_error(float(value), truth) < 5e-12, (weight / q - 1, value, truth)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_term_is_zero_between_equals_and_never_negative(name):
    term, _ = DEFINITIONS[name]
    p = np.concatenate([[0.0, 5e-324, 1.0], 10.0 ** np.random.default_rng(0).uniform(-300, 0, 500)])
    assert (term(p, p) == 0).all()
    assert (term(p, p[::-1]) >= 0).all()


def test_terms_where_one_side_is_empty():
    p, zero = np.array([0.25]), np.array([0.0])
    sided = {"kl": (np.inf, 0.25), "jeffreys": (np.inf, np.inf), "chi2": (np.inf, 0.25),
             "total_variation": (0.125, 0.125), "squared_hellinger": (0.125, 0.125),
             "jensen_shannon": (np.log(2) / 8, np.log(2) / 8),
             "weighted_jensen_shannon 0.25": (np.log(4) / 16, 3 * np.log(4 / 3) / 16),
             "alpha 0.5": (0.5, 0.5), "alpha 2": (np.inf, 0.125), "alpha 0.01": (0.25 / 0.99, 25)}  # fmt: skip
    for name, (left, right) in sided.items():
        term, _ = DEFINITIONS[name]
        assert term(p, zero)[0] == pytest.approx(left, rel=1e-15), name
        assert term(zero, p)[0] == pytest.approx(right, rel=1e-15), name


def test_chi2_does_not_overflow_for_a_subnormal_bin():
    assert terms.chi2(np.array([1e-10]), np.array([1e-320]))[0] == pytest.approx(1e300, rel=1e-3)


def test_log_affinity_does_not_overflow():
    p, q = np.array([[0.5, 0.5, 0.0]]), np.array([[1e-12, 1 - 1e-12, 0.0]])
    expected = 50 * np.log(0.5) + 49 * np.log(1e12)
    assert terms.log_affinity(p, q, 50.0)[0] == pytest.approx(expected, rel=1e-14)
    assert terms.log_affinity(np.array([[1.0, 0]]), np.array([[0, 1.0]]), 0.5)[0] == -np.inf


def test_the_series_are_as_good_as_double_precision():
    """φ(x) = (1 + x) ln(1 + x) − x and ψ(x) = φ(x) + φ(−x), up to where the formulas take over."""
    with mp.workdps(oracle.DIGITS):
        for function, limit, signs in ((terms._phi, 0.01, (1,)), (terms._psi, 0.05, (1, -1))):
            for x in (0.99 * limit, -0.99 * limit, 0.5 * limit, 1e-5):
                truth = sum((1 + s * mpf(x)) * mpmath.log(1 + s * mpf(x)) - s * mpf(x) for s in signs)
                assert oracle.relative_error(float(function(np.array(x))), truth) < 2e-15
