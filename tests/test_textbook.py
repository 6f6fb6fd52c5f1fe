"""Values that stand in print."""

import math

import numpy as np
import pytest

from skdiv import divergences, pairwise_divergences, renyi

pytestmark = pytest.mark.usefixtures("kernel")

# J. Brownlee, "How to Calculate the KL Divergence for Machine Learning", Machine Learning Mastery (2019).
P, Q = [0.10, 0.40, 0.50], [0.80, 0.15, 0.05]


@pytest.mark.parametrize(
    ("metric", "base", "forth", "back"),
    [
        ("kl", 2, 1.927, 2.022),
        ("kl", None, 1.336, 1.401),
        ("js_divergence", 2, 0.420, 0.420),
        ("js_distance", 2, 0.648, 0.648),
    ],
)
def test_tutorial_values(metric, base, forth, back):
    matrix = pairwise_divergences([P, Q], metric=metric, base=base)
    np.testing.assert_allclose(matrix, [[0, forth], [back, 0]], atol=5e-4)
    assert divergences()[metric](P, Q, base=base) == pytest.approx(forth, abs=5e-4)


def test_kullbacks_own_example():
    """Kullback, "Information Theory and Statistics" (1959), table 2.1: binomial (2, 0.4) against uniform."""
    p, q = [9 / 25, 12 / 25, 4 / 25], [1 / 3, 1 / 3, 1 / 3]
    kl = divergences()["kl"]
    assert kl(p, q) == pytest.approx((32 * math.log(2) + 55 * math.log(3) - 50 * math.log(5)) / 25, rel=1e-14)
    assert kl(q, p) == pytest.approx((-4 * math.log(2) - 6 * math.log(3) + 6 * math.log(5)) / 3, rel=1e-14)


def test_bernoulli_values_in_closed_form():
    """A fair against a biased coin, from the definitions by hand."""
    p, q = [0.5, 0.5], [0.9, 0.1]
    affinity = math.sqrt(0.45) + math.sqrt(0.05)
    expected = {
        "total_variation": 0.4,
        "hellinger": math.sqrt(1 - affinity),
        "bhattacharyya": -math.log(affinity),
        "chi2": 0.16 / 0.9 + 0.16 / 0.1,
        "renyi": math.log(0.25 / 0.9 + 0.25 / 0.1),
        "jeffreys": 0.4 * math.log(9),
    }
    for name, value in expected.items():
        assert divergences()[name](p, q) == pytest.approx(value, rel=1e-14), name


def test_disjoint_supports_reach_the_bounds():
    p, q = [1, 0], [0, 1]
    for name, value in {
        "js_divergence": math.log(2),
        "js_distance": math.sqrt(math.log(2)),
        "hellinger": 1.0,
        "total_variation": 1.0,
        "kl": math.inf,
        "jeffreys": math.inf,
        "chi2": math.inf,
        "bhattacharyya": math.inf,
        "renyi": math.inf,
    }.items():
        assert divergences()[name](p, q) == value, name
    assert renyi(0.5)(p, q) == math.inf
    assert divergences()["js_distance"](p, q, base=2) == 1.0


def test_renyi_divergences_are_related_as_van_erven_and_harremoes_say():
    """Their equations (6) and (7): order ½ is twice Bhattacharyya, order 2 is ln(1 + chi²)."""
    records = divergences()
    assert renyi(0.5)(P, Q) == pytest.approx(2 * records["bhattacharyya"](P, Q), rel=1e-14)
    assert records["renyi"](P, Q) == pytest.approx(math.log1p(records["chi2"](P, Q)), rel=1e-14)
    assert renyi(1 + 1e-9)(P, Q) == pytest.approx(records["kl"](P, Q), rel=1e-8)
