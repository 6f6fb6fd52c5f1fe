"""The record and the registry."""

import dataclasses
import math
import pickle

import numpy as np
import pytest
from conftest import random_distributions
from scipy.special import xlogy
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from skdiv import (
    Divergence,
    DivergenceClustering,
    condensed_divergences,
    divergences,
    paired_divergences,
    pairwise_divergences,
    renyi,
)


def euclidean_term(p, q):
    return (p - q) ** 2


def reversed_kl_term(p, q):
    return np.where(q > 0, q * np.log(np.where(q > 0, q, 1) / np.where(q > 0, p, 1)), 0) - q + p


EUCLIDEAN = Divergence(
    name="euclidean",
    term=euclidean_term,
    symmetric=True,
    finish=np.sqrt,
    metric=True,
    hilbertian=True,
    bound=math.sqrt(2),
)
REVERSED_KL = Divergence(name="reversed_kl", term=reversed_kl_term, symmetric=False)


def test_the_registry_has_the_nine_divergences():
    assert list(divergences()) == [
        "kl", "jeffreys", "js_divergence", "js_distance", "hellinger", "bhattacharyya", "total_variation", "chi2",
        "renyi",
    ]  # fmt: skip
    assert all(record.name == name for name, record in divergences().items())
    assert all(record.definition and record.reference for record in divergences().values())


def test_the_registry_is_read_only():
    with pytest.raises(TypeError):
        divergences()["mine"] = EUCLIDEAN
    with pytest.raises(dataclasses.FrozenInstanceError):
        divergences()["kl"].symmetric = True


def test_jensenshannon_is_an_alias(X):
    np.testing.assert_array_equal(pairwise_divergences(X, metric="jensenshannon"), pairwise_divergences(X))


@pytest.mark.parametrize("metric", ["euclidian", "", None, 3, "precomputed"])
def test_an_unknown_metric_is_refused_with_the_known_ones(metric, X):
    with pytest.raises(ValueError, match=r"Unknown metric .*'hellinger'.*'kl'"):
        pairwise_divergences(X, metric=metric)


def test_a_record_is_a_metric_for_scikit_learn(X):
    for name in ("kl", "js_distance"):
        by_callable = pairwise_distances(X, X[:5] + 0.01, metric=divergences()[name])
        np.testing.assert_allclose(by_callable, pairwise_divergences(X, X[:5] + 0.01, metric=name), rtol=1e-9)
    neighbours = NearestNeighbors(n_neighbors=1, metric=divergences()["js_distance"]).fit(X)
    assert (neighbours.kneighbors(X, return_distance=False).ravel() == np.arange(len(X))).all()


@pytest.mark.parametrize("own", [EUCLIDEAN, REVERSED_KL], ids=lambda record: record.name)
def test_a_divergence_of_ones_own_works_wherever_a_name_does(own, X):
    Y = random_distributions(9, 17, seed=5)
    expected = np.array([[own.finish(own.term(p, q).sum()) for q in Y] for p in X])
    np.testing.assert_allclose(pairwise_divergences(X, Y, metric=own), expected, rtol=1e-12)
    np.testing.assert_allclose(paired_divergences(X[:9], Y, metric=own), expected[:9].diagonal(), rtol=1e-12)
    condensed = condensed_divergences(X, metric=own, symmetrize="max")
    square = pairwise_divergences(X, metric=own)
    np.testing.assert_allclose(condensed, np.maximum(square, square.T)[np.triu_indices(23, 1)], rtol=1e-12)
    assert own(X[0], Y[0]) == pytest.approx(expected[0, 0], rel=1e-12)
    clustering = DivergenceClustering(3, metric=own).fit(X)
    assert clustering.linkage_ == ("ward" if own.hilbertian else "average")
    np.testing.assert_array_equal(clustering.predict(X), clustering.labels_)


def test_a_reversed_divergence_is_the_transpose(X):
    np.testing.assert_allclose(
        pairwise_divergences(X, metric=REVERSED_KL), pairwise_divergences(X, metric="kl").T, rtol=1e-9, atol=1e-15
    )


def test_a_term_that_is_not_symmetric_is_caught():
    with pytest.raises(ValueError, match=r"declared symmetric, but .* Pass symmetric=False"):
        Divergence(name="wrong", term=reversed_kl_term, symmetric=True)


def test_a_term_that_is_a_difference_of_functions_of_single_rows_is_not_symmetric():
    """Its sum is the same both ways for two rows of which one is a permutation of the other."""
    with pytest.raises(ValueError, match=r"declared symmetric, but .* Pass symmetric=False"):
        Divergence(name="gap", term=lambda p, q: xlogy(p, p) - xlogy((p + q) / 2, (p + q) / 2) + p - q, symmetric=True)


# --- Forms that disagree ---

DERIVED = {
    "finish": {"finish": np.log1p, "bound": np.inf},
    "term": {"term": euclidean_term, "bound": np.inf, "symmetric": False, "metric": False, "hilbertian": False},
}


@pytest.mark.parametrize("changes", DERIVED.values(), ids=DERIVED)
def test_a_record_with_a_form_of_another_is_refused_and_without_it_all_paths_agree(record, changes, X):
    with pytest.raises(ValueError, match=r"pass (fast|rows)=None with a new term or finish"):
        dataclasses.replace(record, **changes)
    if record.rows is not None:
        with pytest.raises(ValueError, match="pass fast=None"):
            dataclasses.replace(record, **changes, rows=None)
    own = dataclasses.replace(record, **changes, fast=None, rows=None)
    expected = [own.finish(own.term(p, q).sum()) for p, q in zip(X, X[::-1], strict=True)]
    np.testing.assert_allclose([own(p, q) for p, q in zip(X, X[::-1], strict=True)], expected, rtol=1e-9)
    np.testing.assert_allclose(paired_divergences(X, X[::-1], own), expected, rtol=1e-9)
    np.testing.assert_allclose(pairwise_divergences(X, X[::-1], own).diagonal(), expected, rtol=1e-9)


def test_rows_of_another_record_are_refused_without_a_fast_form_too():
    with pytest.raises(ValueError, match="rows gives .* pass rows=None"):
        dataclasses.replace(renyi(3), fast=None, finish=np.sqrt)


@pytest.mark.parametrize("near", [-1, 0, 1])
def test_renyi_of_any_order_is_consistent(near):
    """Orders from the least float to the largest that is accepted, and near 1, are all accepted."""
    steps = 10.0 ** np.arange(-320, 150, 7.3)
    for alpha in steps if near == 0 else 1 + near * steps[(steps > 3e-16) & (steps < 1)]:
        renyi(float(alpha))


# --- What is no divergence ---


@pytest.mark.parametrize("similarity", [np.minimum, lambda p, q: np.sqrt(p * q)], ids=["intersection", "affinity"])
def test_a_similarity_is_refused_with_a_remedy_that_works(similarity, X):
    with pytest.raises(ValueError, match=r"must be 0 for equal distributions.* \(p \+ q\) / 2 - s\(p, q\)"):
        Divergence(name="similar", term=similarity, symmetric=True)
    own = Divergence(name="different", term=lambda p, q: (p + q) / 2 - similarity(p, q), symmetric=True)
    known = pairwise_divergences(X, metric="total_variation" if similarity is np.minimum else "hellinger")
    expected = known if similarity is np.minimum else known**2
    np.testing.assert_allclose(pairwise_divergences(X, metric=own), expected, rtol=1e-9, atol=1e-15)


def test_negative_values_are_no_divergence():
    with pytest.raises(ValueError, match=r"must not be negative, but D\(p ‖ q\) = -"):
        Divergence(name="wrong", term=lambda p, q: -np.abs(p - q), symmetric=True)
    with pytest.raises(ValueError, match="must not be negative"):
        Divergence(name="gap", term=lambda p, q: xlogy(p, p) - xlogy(q, q), symmetric=False)


@pytest.mark.parametrize("facts", [{"metric": True, "symmetric": False}, {"hilbertian": True, "symmetric": True}])
def test_facts_that_contradict_each_other_are_refused(facts):
    with pytest.raises(ValueError, match="a metric is symmetric"):
        Divergence(name="wrong", term=euclidean_term, **facts)


def test_support_is_read_off_the_term():
    infinite = {name for name, record in divergences().items() if record.infinite_off_support}
    assert infinite == {"kl", "jeffreys", "chi2", "renyi"}
    assert not renyi(0.5).infinite_off_support


def test_records_can_be_pickled(record):
    again = pickle.loads(pickle.dumps(record))
    assert again == record
    assert again([0.5, 0.5], [0.9, 0.1]) == record([0.5, 0.5], [0.9, 0.1])


@pytest.mark.parametrize("alpha", [0, 1, -1, math.inf, math.nan, 1e200])
def test_renyi_refuses_orders_that_are_none(alpha):
    with pytest.raises(ValueError, match="alpha = .* must be positive, below 1e150 and not 1"):
        renyi(alpha)


def test_renyi_of_a_tiny_order():
    """It tends to −α ln of the mass that q has on p's support."""
    for alpha in (1e-3, 1e-9, 1e-12, 1e-17):
        assert renyi(alpha)([1, 0], [0.5, 0.5]) == pytest.approx(math.log(2), rel=1e-14)
        assert pairwise_divergences([[1, 0]], [[1, 1]], metric=renyi(alpha)) == pytest.approx(math.log(2), rel=1e-14)


def test_renyi_divergences_of_one_order_are_equal():
    assert renyi(0.5) == renyi(0.5) != renyi(0.4)
    assert repr(renyi(0.5)) == (
        "<Divergence 'renyi(0.5)': ln(sum p^α q^(1−α)) / (α − 1), α = 0.5; symmetric, unbounded>"
    )
    assert repr(divergences()["hellinger"]).endswith("; symmetric, metric, Hilbertian, at most 1>")
    assert repr(divergences()["kl"]) == "<Divergence 'kl': sum p ln(p/q); not symmetric, unbounded>"
    with pytest.raises(TypeError, match="alpha = 'a' must be a number"):
        renyi("a")


def test_the_name_of_a_renyi_divergence_tells_its_order():
    assert [renyi(alpha).name for alpha in (2, 0.3, 1 + 1e-7)] == ["renyi(2)", "renyi(0.3)", "renyi(1.0000001)"]


def test_renyi_of_order_one_half_is_symmetric_and_others_are_not():
    assert renyi(0.5).symmetric
    assert not renyi(0.4).symmetric


@pytest.mark.parametrize("base", [1, 0.5, 0, -2, math.inf, math.nan, "2", True])
def test_a_base_must_be_above_one(base):
    with pytest.raises(ValueError, match="base = .* must be a finite number above 1"):
        divergences()["kl"]([1, 2], [2, 1], base=base)


@pytest.mark.parametrize("name", [name for name, record in divergences().items() if record.base_exponent is None])
def test_a_base_without_a_logarithm_is_an_error(name, X):
    with pytest.raises(ValueError, match=f"metric '{name}' has no logarithm"):
        pairwise_divergences(X, metric=name, base=2)


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([1, 2], [1, 2, 3], "p has 2 bins and q has 3"),
        ([[1, 2]], [[1, 2]], r"p must be a vector of at least one bin, but its shape is \(1, 2\)"),
        ([], [], r"p must be a vector of at least one bin, but its shape is \(0,\)"),
        ([1, -2], [1, 2], r"p\[1\] = -2\.0, but the weight of a bin must be finite and not negative"),
        ([1, 2], [0, 0], "q sums to 0, so it is not a distribution"),
        ([1, math.nan], [1, 2], r"p\[1\] = nan, but"),
    ],
)
def test_a_record_refuses_what_is_no_pair_of_distributions(p, q, message):
    with pytest.raises(ValueError, match=message):
        divergences()["kl"](p, q)


@pytest.mark.parametrize("p", [[1 + 1j, 2], ["1", "2"], [None, 1]])
def test_a_record_refuses_what_is_not_real(p):
    with pytest.raises(TypeError, match="p must hold real numbers, but its dtype is"):
        divergences()["kl"](p, [1, 2])


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (lambda p, q: np.abs(p - q).sum(axis=-1), r"must not sum itself; for shapes .* it gives \(2, 3\)"),
        (lambda p, q: max(p, q), "for arrays that broadcast, .*; it fails on arrays"),
        (lambda p, q: 1.0, r"it gives \(\)"),  # noqa: ARG005
        (lambda p, q: p * np.log(p / q), r"term\(0, 0\) is nan and must be 0"),
        (lambda p, q: p + q + 1, r"term\(0, 0\) is 1\.0 and must be 0"),
    ],
)
def test_what_is_no_term_is_refused_with_advice(term, message):
    with pytest.raises(ValueError, match=message):
        Divergence(name="wrong", term=term, symmetric=False)


def test_nan_from_a_term_is_an_error():
    def term(p, q):
        return np.where(p > 0.9, np.nan, np.abs(p - q))

    wrong = Divergence(name="wrong", term=term, symmetric=False)
    for function in (pairwise_divergences, lambda X, metric: paired_divergences(X, X, metric=metric)):
        with pytest.raises(ValueError, match="Divergence 'wrong' gives NaN for some pair of distributions"):
            function([[1, 0], [1, 1]], metric=wrong)
