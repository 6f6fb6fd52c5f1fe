"""What the records claim, on generated distributions; and that a wrong claim is found."""

import dataclasses
import math

import numpy as np
import pytest
from conftest import RECORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skdiv import condensed_divergences, divergences, paired_divergences, pairwise_divergences

pytestmark = pytest.mark.usefixtures("kernel")

weights = st.one_of(st.just(0.0), st.floats(1e-12, 1.0), st.floats(0.05, 1.0))
common = settings(max_examples=60, deadline=None)


@st.composite
def collections(draw, rows=3):
    """Some rows over a few bins, zeros among them, none empty."""
    n_bins = draw(st.integers(2, 9))
    X = draw(arrays(np.float64, (rows, n_bins), elements=weights))
    X[:, draw(st.integers(0, n_bins - 1))] += 0.05
    return X


def slack(values):
    """What rounding of the rows may do: 1e-9 of the value, and ε in its root."""
    finite = np.where(np.isfinite(values), values, 0)
    return 1e-9 * finite + 4e-16 * np.maximum(1, np.sqrt(finite))


def assert_non_negative(record, X):
    assert (pairwise_divergences(X, metric=record) >= 0).all()


def assert_identity(record, X):
    assert (pairwise_divergences(X, X.copy(), metric=record).diagonal() == 0).all()


def assert_symmetric(record, X):
    matrix = pairwise_divergences(X, metric=record)
    np.testing.assert_array_equal(matrix, matrix.T)
    turned = pairwise_divergences(X[::-1], X, metric=record)[::-1]
    np.testing.assert_allclose(turned, turned.T, rtol=1e-9, atol=1e-15)


def assert_triangle(record, X):
    d = pairwise_divergences(X, metric=record)
    sums = d[:, :, np.newaxis] + d[np.newaxis]
    assert (d[:, np.newaxis] <= sums + slack(sums)).all()


def assert_bounded(record, X):
    assert (pairwise_divergences(X, metric=record) <= record.bound).all()


def assert_hilbertian(record, X):
    """Schoenberg: a matrix of squared Euclidean distances, centred, has no negative eigenvalue."""
    squares = pairwise_divergences(X, metric=record) ** 2
    centring = np.eye(len(X)) - 1 / len(X)
    assert np.linalg.eigvalsh(-centring @ squares @ centring / 2).min() > -1e-9


@pytest.mark.exhaustive
def test_every_record_keeps_its_promises():
    """One generated collection is put to every record: non-negativity, identity and whatever the record claims."""

    @common
    @given(collections(rows=5))
    def check(X):
        for record in RECORDS:
            assert_non_negative(record, X)
            assert_identity(record, X)
            assert_bounded(record, X)
            for claim, test in ((record.symmetric, assert_symmetric), (record.metric, assert_triangle)):
                if claim:
                    test(record, X)
            if record.hilbertian:
                assert_hilbertian(record, X)

    check()


@pytest.mark.exhaustive
@common
@given(collections(), st.randoms(use_true_random=False))
def test_the_order_of_the_bins_does_not_matter(X, random):
    order = random.sample(range(X.shape[1]), X.shape[1])
    for record in RECORDS:
        values = pairwise_divergences(X, metric=record)
        np.testing.assert_allclose(pairwise_divergences(X[:, order], metric=record), values, rtol=1e-9, atol=1e-12)


@pytest.mark.exhaustive
@common
@given(collections())
def test_merging_bins_loses_information(X):
    """The data processing inequality, which every f-divergence and Rényi divergence obeys."""
    merged = np.concatenate([X[:, :2].sum(axis=1, keepdims=True), X[:, 2:], np.zeros((len(X), 1))], axis=1)
    for record in RECORDS:
        before, after = (pairwise_divergences(rows, metric=record) for rows in (X, merged))
        assert (after <= before + 1e-12 + 1e-9 * np.where(np.isfinite(before), before, 0)).all(), record.name


@pytest.mark.sampled(1)
@common
@given(collections())
def test_an_empty_bin_changes_nothing(X):
    wider = np.concatenate([X, np.zeros((len(X), 1))], axis=1)
    for record in RECORDS:
        values = pairwise_divergences(X, metric=record)
        np.testing.assert_allclose(pairwise_divergences(wider, metric=record), values, rtol=1e-9, atol=1e-15)


@pytest.mark.sampled(1)
@common
@given(collections(), st.floats(1.1, 20))
def test_a_base_rescales(X, base):
    for record in RECORDS:
        if record.base_exponent is not None:
            nats = pairwise_divergences(X, metric=record)
            expected = nats / math.log(base) ** record.base_exponent
            np.testing.assert_allclose(pairwise_divergences(X, metric=record, base=base), expected, rtol=1e-15)


@pytest.mark.exhaustive
@common
@given(collections())
def test_matrix_condensed_paired_and_scalar_agree(X):
    for record in RECORDS:
        matrix = pairwise_divergences(X, metric=record)
        scalars = [[record(p, q) for q in X] for p in X]
        np.testing.assert_allclose(matrix, scalars, rtol=1e-8, atol=1e-15)
        paired = paired_divergences(X, X[::-1], metric=record)
        np.testing.assert_allclose(paired, matrix[:, ::-1].diagonal(), rtol=1e-8, atol=1e-15)
        condensed = condensed_divergences(X, metric=record, symmetrize="min")
        smaller = np.minimum(matrix, matrix.T)
        np.testing.assert_array_equal(condensed, smaller[np.triu_indices(len(X), 1)])


KL, JS = divergences()["kl"], divergences()["js_divergence"]
X = np.array([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.1, 0.9, 0.0], [0.1, 0.1, 0.8]])


@pytest.mark.parametrize(
    ("test", "wrong"),
    [
        (assert_non_negative, dataclasses.replace(JS, fast=None, finish=lambda total: total * (1 - 4 * total))),
        (assert_identity, dataclasses.replace(JS, fast=None, finish=lambda total: total + 1e-12)),
        (assert_symmetric, KL),
        (assert_triangle, JS),
        (assert_bounded, dataclasses.replace(JS, bound=0.3)),
        (assert_hilbertian, dataclasses.replace(divergences()["total_variation"], fast=None, finish=np.square)),
    ],
    ids=lambda value: getattr(value, "__name__", getattr(value, "name", "")),
)
def test_a_wrong_divergence_is_caught(test, wrong):
    with pytest.raises(AssertionError):
        test(wrong, X)


def test_what_is_not_claimed_does_not_hold():
    """Each fact that a record does not have, fails somewhere: the table is not merely cautious."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.dirichlet(np.full(3, 0.3), 40), np.eye(3), [[0.5, 0.5, 0], [0.25, 0.75, 0]]])
    for record in divergences().values():
        for claim, test in (
            (record.symmetric, assert_symmetric),
            (record.metric, assert_triangle),
            (record.hilbertian, assert_hilbertian),
        ):
            if not claim and (record.bound < math.inf or test is not assert_hilbertian):
                with pytest.raises(AssertionError):
                    test(record, rows)
