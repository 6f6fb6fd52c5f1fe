"""What the fast forms cannot tell apart is summed again: right in every regime, storage and precision, and cheap."""

from functools import partial

import mpmath
import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from conftest import random_distributions
from test_memory import MIB, peak

from skdiv import Divergence, divergences, paired_divergences, pairwise_divergences, renyi
from skdiv._compute import kernels
from skdiv._compute.blocks import termwise
from skdiv._input.distributions import Distributions, as_distributions

pytestmark = pytest.mark.usefixtures("kernel")

PROMISED = 1e-15  # over √D, beside a relative 1e-9
SINGLE = 2e-6  # absolute up to one nat, then relative
COPIES = 16  # of each row, for products of few rows take another path through BLAS

# Rows of few different entries, of which each stands in so many bins: what is rounded adds up over the bins, and the
# exact value is that of as many bins as there are different entries.
LEVELS = {
    "two levels": ([246, 138], [1.6975673710723254, 1.6975673710723254], [1.708204734624122, 1.6786661503790237]),
    "many bins": ([11_418, 8_582], [8.1, 8.0], [8.099, 8.0013]),
    "a million bins": ([638_020, 361_980], [1.0, 1.0], [0.9998, 1.00035]),
    "peaked": ([1, 1, 998], [1.0, 10**-7.5, 10**-7.5], [10**-7.5, 1.0, 10**-7.5]),
    "peaked alike": ([1, 2, 4997], [1.0, 0.5, 1e-6], [1.0, 0.501, 1.1e-6]),
    "empty bins": ([900, 90, 10], [0.0, 1.0, 3.0], [0.0, 1.0, 4.0]),
    "tiny tail": ([3, 50_254], [0.3, 1e-9], [0.3, 3e-9]),
}
CONTAINERS = {
    "dense": (np.asarray, np.asarray),
    "CSR": (sp.csr_array, sp.csr_array),
    "dense beside CSR": (np.asarray, sp.csr_array),
    "CSR beside dense": (sp.csr_array, np.asarray),
}


def rows_of(regime, dtype):
    """Two rows in full, in the order of their entries and mixed, and the same in a few bins."""
    numbers, *levels = LEVELS[regime]
    levels = np.array(levels, dtype=dtype)
    rows = np.repeat(levels, numbers, axis=1)
    return rows, rows[:, np.random.default_rng(0).permutation(rows.shape[1])], levels.astype(float) * numbers


def assert_right(values, name, truth, dtype):
    record = divergences()[name]
    for value in np.unique(values):
        if dtype == np.float64:
            root = float(truth if record.metric else mpmath.sqrt(truth))
            assert oracle.relative_error(value, truth) <= 1e-9 + PROMISED / root, (name, value, float(truth))
        else:
            exponent = 1 / (record.base_exponent or (2 if name == "hellinger" else 1))
            expected, found = float(truth) ** exponent, float(value) ** exponent
            assert abs(found - expected) <= SINGLE * max(1, expected), (name, value, float(truth))


CASES = [
    (regime, container)
    for regime in LEVELS
    for container in CONTAINERS
    if container in ("dense", "CSR") or regime in ("two levels", "peaked", "empty bins")
]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("regime", "container"), CASES)
def test_rows_of_few_levels(regime, container, dtype):
    *orders, few = rows_of(regime, dtype)
    as_x, as_y = CONTAINERS[container]
    wide = orders[0].shape[1] > 10_000
    copies = 2 if wide else COPIES
    for rows in orders[:1] if wide else orders:
        X, Y = (as_x(np.repeat(rows[:1], copies, axis=0)), as_y(np.repeat(rows[1:], copies, axis=0)))
        for name in divergences():
            truth = oracle.exact(*few, oracle.DEFINITIONS[name])
            assert_right(pairwise_divergences(X, Y, metric=name), name, truth, dtype)
            if not wide:
                assert_right(paired_divergences(X[:1], Y[:1], metric=name), name, truth, dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("pseudocount", [0.5, 0.01, 1e-6])
@pytest.mark.parametrize("name", [*divergences(), 0.3, 0.999, 1.2, 5.0])
def test_a_pseudocount_on_sparse_rows(name, pseudocount, dtype):
    """Few bins with mass, and many with none: as exact as the same rows with the pseudocount added by hand."""
    record = divergences()[name] if isinstance(name, str) else renyi(name)
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.where(np.arange(1000) < 50, 4, 0.02), (12, 1000))
    counts[6:] = counts[:6] + (rng.random((6, 1000)) < 0.002)  # and near duplicates of these
    added = counts + np.float64(pseudocount)
    expected = pairwise_divergences(added, metric=record)
    values = pairwise_divergences(sp.csr_array(counts.astype(dtype)), metric=record, pseudocount=pseudocount)
    assert values.dtype == dtype
    power = 2 if record.name in ("js_distance", "hellinger") else 1
    if dtype == np.float64:
        d = np.where(expected > 0, expected**power, 1)
        factor = max(1, record.fast.conditioning)
        np.testing.assert_array_less(np.abs(values**power - expected**power) / d, factor * (1e-9 + 4e-15 / np.sqrt(d)))
    else:
        np.testing.assert_allclose(values**power, expected**power, rtol=SINGLE, atol=SINGLE)


def test_a_pseudocount_on_sparse_rows_makes_nothing_dense():
    """A product of sparse rows and a shift, not one over 10⁶ bins."""
    rng = np.random.default_rng(0)
    X = sp.csr_array((np.ones(4000), (np.repeat(np.arange(200), 20), rng.integers(0, 10**6, 4000))), (200, 10**6))
    for metric in ("kl", "jeffreys", "hellinger", "bhattacharyya"):
        assert peak(lambda: pairwise_divergences(X, metric=metric, pseudocount=0.5)) < 25 * MIB  # noqa: B023


def smoothed(n_bins, error):
    """One label of so many, with label smoothing: a peak, and a tail of equal entries."""
    row = np.full(n_bins, error / (n_bins - 1))
    row[0] = 1 - error
    return row


@pytest.mark.parametrize("name", [*divergences(), 0.6, 1.4])
@pytest.mark.parametrize("n_bins", [31, 66, 500])
def test_smoothed_labels_in_single_precision(name, n_bins):
    """All roundings of a sum of equal terms go the same way."""
    record = divergences()[name] if isinstance(name, str) else renyi(name)
    rows = np.array([smoothed(n_bins, error) for error in np.linspace(0.05, 0.12, 40)], dtype=np.float32)
    power = 2 if record.name in ("js_distance", "hellinger") else 1
    values, expected = (pairwise_divergences(each, metric=record) ** power for each in (rows, rows.astype(float)))
    np.testing.assert_allclose(values, expected, rtol=SINGLE, atol=SINGLE)


@pytest.mark.parametrize(
    ("metric", "tiny"), [("chi2", 1e-310), ("renyi", 1e-310), (renyi(50), 1e-7), (renyi(5), 1e-80)], ids=str
)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_an_entry_whose_power_overflows_spoils_no_other_pair(metric, tiny, container):
    """Its product with 0 is NaN, and the least of numbers with NaN among them is NaN."""
    rows = np.array([[1, 2, 4, 0], [1, 2, 4, 0], [1, 2, 4 * (1 + 1e-7), 0], [1, 2, 4, tiny]])
    values = pairwise_divergences(container(rows), metric=metric)[:3, :3]
    expected = pairwise_divergences(rows[:3, :3], metric=metric)
    assert values[0, 1] == values[1, 0] == 0
    np.testing.assert_allclose(values, expected, rtol=1e-7)


@pytest.mark.parametrize("metric", ["kl", "jeffreys", "chi2"])
def test_a_background_of_a_row_without_empty_bins(metric):
    """Where no bin is empty nothing is added for empty bins, be what they would hold 0 or not."""
    X = np.array([[1e300, 1e300], [1.0, 0.0]])
    expected = pairwise_divergences(X[1:] + 1e-30, X[:1], metric=metric)
    sparse = sp.csr_array(X)
    for function in (pairwise_divergences, paired_divergences):
        value = function(sparse[[1]], sparse[[0]], metric=metric, pseudocount=1e-30)
        np.testing.assert_allclose(value.ravel(), expected.ravel(), rtol=1e-12)


@pytest.mark.parametrize("alpha", [1e-8, 1e-12, 1e-17, 1e-300])
def test_renyi_divergences_of_tiny_orders(alpha):
    """1 − α is then 1 in double precision, and its distance from 1 must not be taken from it."""
    value = pairwise_divergences([[1, 1, 0]], [[1, 1, 1e-6]], metric=renyi(alpha))[0, 0]
    np.testing.assert_allclose(value, np.log1p(5e-7), rtol=1e-7)


def test_jeffreys_of_a_peak_and_a_wide_tail():
    """Of two products each may be wrong by as much as one; and sparse rows may be of very different lengths."""
    x, y = np.array([0.24953178762, 8.1076e-6]), np.array([0.24965362441, 5.9978e-6])
    rows = np.repeat([x, y], [4, 231], axis=1)
    truth = oracle.exact(x * [4, 231], y * [4, 231], oracle.DEFINITIONS["jeffreys"])
    X, Y = (np.repeat(rows[k : k + 1], COPIES, axis=0) for k in (0, 1))
    assert_right(pairwise_divergences(X, Y, metric="jeffreys"), "jeffreys", truth, np.float64)
    alone = sp.eye_array(60, 2350, format="csr")
    sparse = [sp.vstack([sp.csr_array(np.pad(each, ((0, 0), (0, 2115)))), alone]) for each in (X, Y)]
    assert_right(pairwise_divergences(*sparse, metric="jeffreys")[:COPIES, :COPIES], "jeffreys", truth, np.float64)


def few_of_many_bins(n=20, n_bins=20_000, seed=0):
    """Counts in a few of many bins, half of which all rows share: sparse enough to be summed by what rows store."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((n, n_bins))
    counts[:, :8] = rng.integers(1, 20, (n, 8))
    counts[np.arange(n)[:, np.newaxis], rng.integers(8, n_bins, (n, 8))] = rng.integers(1, 5, (n, 8))
    return counts


@pytest.mark.sampled
@pytest.mark.parametrize("name", [*divergences(), 0.999, 3.0])
@pytest.mark.parametrize("pseudocount", [0.0, 1e-6, 1e-200])
def test_few_of_many_bins_are_what_dense_rows_are(name, pseudocount):
    """Also where a factor has no bound, or where a divergence is infinite in one direction or both."""
    record = divergences()[name] if isinstance(name, str) else renyi(name)
    counts = few_of_many_bins()
    counts[1] = counts[0]
    counts[1, -1] += 1
    sparse, dense = (
        pairwise_divergences(rows, metric=record, pseudocount=pseudocount) for rows in (sp.csr_array(counts), counts)
    )
    np.testing.assert_allclose(sparse, dense, rtol=5e-8)


@pytest.mark.parametrize("metric", ["kl", "jeffreys", "chi2", "renyi"])
def test_supports_of_sparse_rows_one_within_the_other(metric):
    """Then one direction is finite and the other is not; so many rows share few bins that products are sparse."""
    places = np.random.default_rng(0).integers(1, 5000, (100, 6))
    counts = np.zeros((200, 5000))
    counts[np.arange(100)[:, np.newaxis], places] = 1
    counts[100:] = counts[:100]
    counts[100:, 0] = 2
    sparse, dense = (pairwise_divergences(rows, metric=metric) for rows in (sp.csr_array(counts), counts))
    assert np.isfinite(dense).sum() > 200 - (metric == "jeffreys")
    np.testing.assert_allclose(sparse, dense, rtol=1e-9)
    assert np.isinf(sparse[100:, :100].diagonal()).all()


def test_few_of_many_bins_in_single_precision():
    """Rows in single precision do not quite sum to one, which an order next to 1 magnifies."""
    counts, record = few_of_many_bins().astype(np.float32), renyi(0.999)
    values = pairwise_divergences(sp.csr_array(counts), metric=record, pseudocount=0.01)
    expected = pairwise_divergences(counts.astype(np.float64), metric=record, pseudocount=0.01)
    np.testing.assert_allclose(values, expected, rtol=2e-7, atol=2e-7)


@pytest.mark.exhaustive
def test_a_pseudocount_on_rows_of_few_bins_takes_the_memory_of_what_they_store():
    rng = np.random.default_rng(0)
    X = sp.csr_array((np.ones(2000), (np.repeat(np.arange(100), 20), rng.integers(0, 10**6, 2000))), (100, 10**6))
    for metric in ("js_distance", "total_variation"):
        pairwise_divergences(X[:2], metric=metric, pseudocount=0.5)
        assert peak(lambda: pairwise_divergences(X, metric=metric, pseudocount=0.5)) < 12 * MIB  # noqa: B023


@pytest.mark.parametrize("metric", ["js_divergence", "jeffreys", "hellinger", "total_variation"])
def test_a_pair_is_the_same_to_the_bit_in_either_order(metric):
    X, Y = random_distributions(300, 40, zeros=0.2), random_distributions(300, 40, zeros=0.2, seed=1)
    np.testing.assert_array_equal(paired_divergences(X, Y, metric=metric), paired_divergences(Y, X, metric=metric))


# --- Near duplicates by products of their deviations from a center ---

CENTERED = [*(divergences()[name] for name in ("kl", "jeffreys", "hellinger", "bhattacharyya", "chi2"))]
CENTERED += [renyi(alpha) for alpha in (0.3, 0.5, 0.999, 1.5, 2, 5, 50)]
centered = pytest.mark.parametrize("record", CENTERED, ids=lambda record: record.name)


def around(bases, n, steps):
    """n rows near each base, shuffled: those of base k differ by the k-th step."""
    rng, (k, n_bins) = np.random.default_rng(1), bases.shape
    sizes = np.broadcast_to(steps, k).repeat(n)[:, np.newaxis]
    return rng.permutation(bases.repeat(n, axis=0) * (1 + sizes * rng.uniform(-1, 1, (k * n, n_bins))))


def by_terms(rows, record):
    """The matrix of divergences, pair by pair."""
    i, j = pairs(len(rows))
    return paired_divergences(rows[i], rows[j], metric=record).reshape(len(rows), -1)


@pytest.fixture
def n_summed(monkeypatch):
    """The numbers of pairs that are summed by their terms, call by call."""
    numbers, of_pairs = [], termwise.of_pairs

    def counted(divergence, P, Q, i, *others, **options):
        numbers.append(len(i))
        return of_pairs(divergence, P, Q, i, *others, **options)

    monkeypatch.setattr(termwise, "of_pairs", counted)
    return numbers


@centered
@pytest.mark.parametrize("step", [1e-4, 1e-6, 1e-8])
def test_rows_that_are_all_near_each_other_are_not_summed_pair_by_pair(record, step, n_summed):
    rows = around(random_distributions(1, 50) + 0.01, 60, step)
    np.testing.assert_allclose(pairwise_divergences(rows, metric=record), by_terms(rows, record), rtol=1e-9)
    assert not n_summed


@pytest.mark.sampled(4)
@centered
def test_each_of_several_groups_of_near_duplicates_has_a_center_of_its_own(record, n_summed):
    rows = around(random_distributions(2, 50) + 1e-3, 150, [1e-4, 1e-8])
    np.testing.assert_allclose(pairwise_divergences(rows, metric=record), by_terms(rows, record), rtol=1e-9)
    assert not n_summed


@pytest.mark.sampled(4)
@centered
def test_rows_of_a_group_have_their_zeros_in_the_same_bins(record, n_summed):
    rows = around(random_distributions(2, 50, zeros=0.3), 150, 1e-6)
    np.testing.assert_allclose(pairwise_divergences(rows, metric=record), by_terms(rows, record), rtol=1e-9)
    assert not n_summed


@pytest.mark.sampled
@centered
@pytest.mark.parametrize("entry", [1e-6, 1e-9, 1e-20, 1e-300])
def test_a_few_rows_with_mass_in_one_more_bin(record, entry, n_summed):
    """All that are near such a row, or few more, are summed by their terms."""
    rows = around(random_distributions(1, 50, zeros=0.3), 90, 1e-6)
    empty = int(np.flatnonzero(rows[0] == 0)[0])
    rows[[20, 50], empty] = entry
    np.testing.assert_allclose(pairwise_divergences(rows, metric=record), by_terms(rows, record), rtol=1e-9)
    assert sum(n_summed) <= 4 * 90


@pytest.mark.parametrize("record", CENTERED[:-1], ids=lambda record: record.name)  # powers of 50 would overflow
def test_near_duplicates_in_single_precision(record, n_summed):
    rows = around(random_distributions(1, 50) + 0.01, 60, 3e-7).astype(np.float32)
    np.testing.assert_allclose(pairwise_divergences(rows, metric=record), by_terms(rows, record), rtol=2e-3)
    assert not n_summed


@centered
def test_rows_nearer_to_each_other_than_to_the_center(record):
    """Pairs of twins, of which each is far from all others as near duplicates go."""
    rows = np.repeat(around(random_distributions(1, 50) + 0.01, 30, 1e-3), 2, axis=0)
    rows[1::2] *= 1 + 1e-8 * np.random.default_rng(2).uniform(-1, 1, (30, 50))
    np.testing.assert_allclose(pairwise_divergences(rows, metric=record), by_terms(rows, record), rtol=2e-9)


@centered
def test_rows_that_drift_are_near_in_a_chain(record):
    a, b = random_distributions(2, 50, seed=3) + 1e-3
    t = np.linspace(0, 0.1, 150)[:, np.newaxis]
    rows = (1 - t) * a + t * b
    np.testing.assert_allclose(pairwise_divergences(rows, metric=record), by_terms(rows, record), rtol=1e-9)


@pytest.mark.sampled
@centered
@pytest.mark.parametrize("step", [1e-3, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("n_bins", [2, 40])
def test_near_duplicates_with_tiny_entries_among_other_rows_in_exact_arithmetic(record, step, n_bins):
    """The first and the last rows are a group, whose tails reach down to 1e-300; those between are far from all."""
    base = random_distributions(1, n_bins)
    base[:, 1:] *= 10.0 ** -np.linspace(0, 300, n_bins - 1)
    rows = around(base, 80, step)
    rows = np.concatenate([rows[:40], random_distributions(40, n_bins), rows[40:]])
    values, definition = pairwise_divergences(rows, metric=record), oracle.DEFINITIONS.get(record.name)
    alpha = record.term.argument if definition is None else 1
    for i, j in [(0, 1), (1, 119), (119, 1), (5, 100), (2, 50), (60, 80)]:
        truth = oracle.exact(rows[i], rows[j], definition or partial(oracle.renyi, alpha=alpha))
        root = float(truth if record.metric else mpmath.sqrt(truth))
        assert oracle.relative_error(values[i, j], truth) <= max(1, alpha**0.5) * (1e-9 + PROMISED / root), (i, j)


# --- Compiled and interpreted, dense and sparse sums are the same ---


def pairs(n):
    return tuple(places.ravel() for places in np.indices((n, n)))


ALL_TERMS = [*divergences().values(), *map(renyi, (0.01, 0.3, 0.5, 0.999, 1.001, 5))]


@pytest.mark.parametrize("record", ALL_TERMS, ids=lambda record: record.name)
@pytest.mark.parametrize("step", [1e-9, 1e-3, 0.3, None])
@pytest.mark.parametrize("n_bins", [2, 31, 100])
def test_the_sums_of_a_kernel_are_those_of_the_terms(record, step, n_bins):
    X = random_distributions(8, n_bins, zeros=0.3 if step is None else 0)
    if step is not None:
        X = X[:1] * (1 + step * np.random.default_rng(1).uniform(-1, 1, X.shape))
    if step is None:
        X[0, -1], X[1, -1] = 5e-324, 1e-310  # logarithms of subnormal numbers are other code
    rows, (i, j) = as_distributions(X), pairs(8)
    with np.errstate(over="ignore"):
        expected = record.term(rows.values[i], rows.values[j]).sum(axis=1)
    kernel = kernels.load(kernels.chosen())
    for some in (rows, as_distributions(sp.csr_array(X))):
        sums = kernel.term_sums(record.term, some, some, i, j)
        assert (sums is None) == (kernels.chosen() == "numpy")
        if sums is not None:
            np.testing.assert_allclose(sums, expected, rtol=1e-11)
        for k, p, q in termwise.pair_rows(some, some, i, j):
            with np.errstate(over="ignore"):
                np.testing.assert_allclose(record.term(p, q).sum(axis=1), expected[k], rtol=1e-11)


def test_a_term_of_the_users_own_is_not_compiled():
    kernel, rows = kernels.load(kernels.chosen()), as_distributions([[1, 2], [2, 1]])
    assert kernel.term_sums(lambda p, q: p - q, rows, rows, *pairs(2)) is None


SQUARED = Divergence(name="squared", term=lambda p, q: (p - q) ** 2, symmetric=True)


@pytest.mark.parametrize("pseudocount", [0.0, 0.5])
def test_a_divergence_of_the_users_own_on_sparse_rows(pseudocount):
    """Its term need not be homogeneous, so bins must not be put together."""
    X = np.random.default_rng(0).poisson(0.2, (20, 300)) + np.eye(20, 300)
    dense, sparse = (
        pairwise_divergences(each, metric=SQUARED, pseudocount=pseudocount) for each in (X, sp.csr_array(X))
    )
    np.testing.assert_allclose(sparse, dense, rtol=1e-12)


def test_rows_of_very_different_lengths_side_by_side():
    lengths = np.array([1, 500, 3, 499, 0, 2])
    X = sp.csr_array(np.where(np.arange(500) < lengths[:, np.newaxis], 1.0, 0) + np.eye(6, 500)[:, ::-1])
    expected = pairwise_divergences(X.toarray(), metric="renyi")
    i, j = pairs(6)
    np.testing.assert_allclose(paired_divergences(X[i], X[j], metric="renyi"), expected.ravel(), rtol=1e-12)


# --- Equal rows ---


def equal_or_not(P, Q):
    of_p, of_q = termwise.labels_of_equal_rows(P, Q)
    return of_p[:, np.newaxis] == of_q


@pytest.mark.parametrize("collide", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["dense", "sparse", "background"])
def test_rows_have_one_label_if_and_only_if_they_are_equal(kind, dtype, collide, monkeypatch):
    """If all rows had one fingerprint too, but then a row is only known to equal the first of its kind."""
    if collide:
        monkeypatch.setattr(termwise, "_fingerprints", lambda values: np.zeros(values.shape[0], dtype=np.uint64))
    rng = np.random.default_rng(0)
    base = rng.poisson(1, (6, 40)).astype(dtype) + np.eye(6, 40, dtype=dtype)
    X, Y = base[rng.integers(0, 6, 30)], base[rng.integers(0, 6, 20)]
    container, pseudocount = (np.asarray if kind == "dense" else sp.csr_array), 0.5 if kind == "background" else 0
    P, Q = (as_distributions(container(rows), pseudocount=pseudocount) for rows in (X, Y))
    expected = (X[:, np.newaxis] == Y).all(axis=2)
    found = equal_or_not(P, Q)
    assert expected.any()
    np.testing.assert_array_equal(found, expected & (X[0] == X).all(axis=1)[:, np.newaxis] if collide else expected)


def test_rows_that_differ_in_one_bit_have_two_labels():
    row = random_distributions(1, 50)
    other = row.copy()
    other[0, 7] = np.nextafter(row[0, 7], 1)
    assert not equal_or_not(Distributions(row), Distributions(other)).any()


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("metric", [name for name, record in divergences().items() if record.fast is not None])
def test_equal_rows_are_not_summed(metric, container, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a pair of equal rows was summed")

    rows = np.tile(random_distributions(1, 60, zeros=0.3), (50, 1))
    monkeypatch.setattr(termwise, "of_pairs", refuse)
    assert not pairwise_divergences(container(rows), metric=metric).any()
    assert not pairwise_divergences(container(rows), container(rows[:30]), metric=metric).any()


# --- A pair of sparse rows costs what the two store ---


@pytest.mark.parametrize("metric", ["js_distance", "kl", "renyi", "bhattacharyya"])
def test_a_pair_of_sparse_rows_takes_the_memory_of_what_it_stores(metric):
    rng = np.random.default_rng(0)
    bins = rng.integers(0, 10**7, (200, 20))
    X, Y = (
        sp.csr_array((rng.random(4000), (np.repeat(np.arange(200), 20), bins.ravel())), (200, 10**7)) for _ in range(2)
    )
    paired_divergences(X[:2], Y[:2], metric=metric)
    assert peak(lambda: paired_divergences(X, Y, metric=metric)) < 4 * MIB


@pytest.mark.parametrize("metric", ["js_distance", "kl"])
def test_near_duplicates_among_sparse_rows_take_the_memory_of_what_they_store(metric):
    rng = np.random.default_rng(0)
    bins, weights = np.tile(rng.integers(0, 10**6, 20), 60), np.tile(rng.random(20), 60)
    near = weights * (1 + 1e-6 * rng.random(1200))
    X = sp.csr_array((near, (np.repeat(np.arange(60), 20), bins)), (60, 10**6))
    pairwise_divergences(X[:3], metric=metric)
    assert peak(lambda: pairwise_divergences(X, metric=metric)) < 25 * MIB  # of which 16 are for columns
