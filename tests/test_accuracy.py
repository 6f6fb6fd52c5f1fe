"""Every entry against 50-digit arithmetic, by regime: the bounds that the documentation promises."""

import mpmath
import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from conftest import random_distributions
from scipy.spatial.distance import squareform

from skdiv import (
    DivergenceClustering,
    condensed_divergences,
    divergences,
    nearest_divergences,
    paired_divergences,
    pairwise_divergences,
    renyi,
)
from skdiv._input.distributions import as_distributions

pytestmark = pytest.mark.usefixtures("kernel")

EPS = 2.2e-16  # a quarter of what is promised; chi2 and a pseudocount need twice as much each, at the worst


def near_duplicates(step):
    base = random_distributions(1, 40)
    return base * (1 + step * np.random.default_rng(3).uniform(-1, 1, (4, 40)))


def steep():
    return 10.0 ** np.random.default_rng(4).uniform(-300, 0, (4, 40))


REGIMES = {
    "dense": random_distributions(4, 40),
    "sparse": random_distributions(4, 40, zeros=0.6),
    "down to 1e-300": steep(),
    "one bin": np.array([[1.0, 0.0], [3.0, 0.0]]),
    "disjoint": np.eye(4),
    "nearly disjoint": np.eye(4) + 1e-200,
    "one bin apart": np.array([[1, 1, 1, 1e-9], [1, 1, 1, 0], [1, 1, 1, 3e-7]]),
    **{
        f"near duplicates {step:g}": near_duplicates(step)
        for step in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
    },
}


def assert_exact(values, X, record, definition, factor=1.0):
    """Relative error at most 1e-9 + ε/√D for a divergence, 1e-9 + ε/d for a distance."""
    for (i, j), value in np.ndenumerate(values):
        truth = oracle.exact(X[i], X[j], definition)
        root = float(truth if record.metric else mpmath.sqrt(truth))
        bound = 1e-9 + (EPS / root if root > 0 else 0)
        assert oracle.relative_error(value, truth) <= factor * bound, (record.name, i, j, value, truth)


@pytest.mark.sampled(30)
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("name", divergences())
def test_matrix_and_pairs_are_exact_in_every_regime(name, regime):
    X, record, definition = REGIMES[regime], divergences()[name], oracle.DEFINITIONS[name]
    n = len(X)
    assert_exact(pairwise_divergences(X, metric=name), X, record, definition)
    pairs = paired_divergences(np.repeat(X, n, axis=0), np.tile(X, (n, 1)), metric=name)
    assert_exact(pairs.reshape(n, n), X, record, definition)


def nearly_even(n_bins, n, seed):
    """Rows of two levels near 1/n_bins, a power of two: p and q lie on two sides of it and p + q on it."""
    rng = np.random.default_rng(seed)
    signs = np.where(np.arange(n_bins) % 2, 1.0, -1.0)
    steps = np.concatenate([10 ** rng.uniform(-4, -1.5, n - 3), [0.0026033271235025, 0.003, 0.0029]])
    return (1 + 2 * steps[:, np.newaxis] * signs) / n_bins


@pytest.mark.sampled
@pytest.mark.parametrize("n_bins", [2, 4, 8, 16])
@pytest.mark.parametrize("metric", ["js_divergence", "js_distance"])
def test_the_error_of_the_logarithm_does_not_show_where_it_does_not_cancel(metric, n_bins):
    """The rows were found by a search for the largest error; also counts of a thousand fair draws."""
    X = nearly_even(n_bins, 20, n_bins)
    Y = X[:, ::-1]
    drawn = np.random.default_rng(1).multinomial(1000, np.full(n_bins, 1 / n_bins), 20).astype(float)
    record, definition = divergences()[metric], oracle.DEFINITIONS[metric]
    for left, right in ((X, Y), (drawn, drawn[:, ::-1])):
        truth = [oracle.exact(p, q, definition) for p, q in zip(left, right, strict=True)]
        both = np.concatenate([left, right])
        n = len(left)
        condensed = squareform(condensed_divergences(both, metric))
        found = {
            "dense": np.diagonal(pairwise_divergences(left, right, metric)),
            "CSR": np.diagonal(pairwise_divergences(sp.csr_array(left), sp.csr_array(right), metric)),
            "condensed": np.diagonal(condensed[:n, n:]),
            "pairs": paired_divergences(left, right, metric),
            "nearest": [nearest_divergences(p[np.newaxis], q[np.newaxis], n_neighbors=1, metric=metric)[0][0, 0]
                        for p, q in zip(left, right, strict=True)],
        }  # fmt: skip
        for values in found.values():
            for value, exactly in zip(values, truth, strict=True):
                root = float(exactly if record.metric else mpmath.sqrt(exactly))
                assert oracle.relative_error(value, exactly) <= 1e-9 + (EPS / root if root else 0)


@pytest.mark.parametrize("n_bins", [2, 4])
def test_the_error_of_the_logarithm_does_not_show_in_the_information_that_a_merge_loses(n_bins):
    X = nearly_even(n_bins, 12, 3)
    for p, q in zip(X, X[:, ::-1], strict=True):
        height = DivergenceClustering(1, linkage="information", metric="kl").fit([p, q]).distances_[0]
        assert oracle.relative_error(height, oracle.exact(p, q, oracle.js_divergence)) <= 1e-9


@pytest.mark.sampled
@pytest.mark.parametrize("regime", ["dense", "sparse", "down to 1e-300", "nearly disjoint", "near duplicates 1e-06"])
@pytest.mark.parametrize("alpha", [0.01, 0.5, 0.999, 1 + 1e-6, 1.5, 5, 50])
def test_renyi_is_exact_for_every_order(alpha, regime):
    """Rounding of a row moves a divergence of order α by up to √α times as much."""
    X, record = REGIMES[regime], renyi(alpha)
    values = pairwise_divergences(X, metric=record)
    assert_exact(values, X, record, lambda p, q: oracle.renyi(p, q, alpha), factor=max(1, alpha**0.5))


@pytest.mark.parametrize("alpha", [2.0, 1e4, 1e8, 1e12])
def test_renyi_of_rows_that_are_multiples_is_at_most_what_rounding_makes_of_them(alpha):
    """Entries that differ by a relative δ give a divergence of α δ²/2 to the second order."""
    X = random_distributions(30, 5)
    Y = X * np.array([3, 1000, 1e-7])[np.arange(30) % 3, np.newaxis]
    assert 0 < pairwise_divergences(X, Y, renyi(alpha)).diagonal().max() <= alpha * 1e-30
    assert paired_divergences(X, Y, renyi(alpha)).max() <= alpha * 1e-30


@pytest.mark.sampled(9)
@pytest.mark.parametrize("name", divergences())
@pytest.mark.parametrize("step", [None, 1e-2, 6e-3, 1e-6])
def test_a_hundred_thousand_bins(name, step):
    """A pattern of 500 bins 200 times over has the divergences of the pattern, which the oracle can afford."""
    base = random_distributions(1, 500) + 1e-12
    noise = np.random.default_rng(5).uniform(-1, 1, (3, 500))
    pattern = random_distributions(3, 500) if step is None else base * (1 + step * noise)
    values = pairwise_divergences(np.tile(pattern, 200), metric=name)
    assert_exact(values, pattern, divergences()[name], oracle.DEFINITIONS[name])


def test_rows_that_are_multiples_of_each_other():
    """SciPy's jensenshannon gives NaN or 1e-8 here."""
    rows = np.concatenate([factor * random_distributions(20, 33) for factor in (1, 3, 7, 0.1, 1e9)])
    distances = pairwise_divergences(rows)
    same = np.equal.outer(np.arange(100) % 20, np.arange(100) % 20)
    assert distances[same].max() < 1e-15


@pytest.mark.parametrize("zeros", [0.0, 0.5])
def test_equal_rows_are_at_exactly_zero(record, zeros):
    rows = np.repeat(random_distributions(7, 13, zeros=zeros), 2, axis=0)
    for matrix in (pairwise_divergences(rows, metric=record), pairwise_divergences(rows, rows.copy(), metric=record)):
        assert (matrix[::2, 1::2].diagonal() == 0).all()
        assert (matrix.diagonal() == 0).all()


@pytest.mark.parametrize("name", [name for name, record in divergences().items() if np.isfinite(record.bound)])
def test_rounding_does_not_lift_a_value_above_its_bound(name):
    """Rows of disjoint supports are at the bound, and half of them a rounding error above it if nothing is done."""
    left = random_distributions(40, 30) * (np.arange(30) < 15)
    record, right = divergences()[name], left[:, ::-1]
    assert (pairwise_divergences(left, right, metric=name) <= record.bound).all()
    np.testing.assert_allclose(pairwise_divergences(left, right, metric=name), record.bound, rtol=1e-14)
    assert (record._capped(np.array([record.bound * (1 + 1e-15), record.bound * 1.1])) > record.bound).tolist() == [
        False,
        True,
    ]


def test_subnormal_weights_give_no_nan_and_nothing_negative(record):
    rows = 10.0 ** np.random.default_rng(6).uniform(-323, 0, (12, 30))
    rows[:, ::7] = 0
    for values in (pairwise_divergences(rows, metric=record), paired_divergences(rows, rows[::-1], metric=record)):
        assert (values >= 0).all()


@pytest.mark.sampled
@pytest.mark.parametrize("name", [name for name, record in divergences().items() if record.base_exponent is not None])
@pytest.mark.parametrize("step", [None, 1e-1, 1e-3, 1e-5])
def test_single_precision_is_exact_to_two_millionths_of_a_nat(name, step):
    rows = random_distributions(5, 256) if step is None else near_duplicates(step)
    values = pairwise_divergences(rows.astype(np.float32), metric=name)
    truth = pairwise_divergences(rows.astype(np.float32).astype(np.float64), metric=name)
    assert values.dtype == np.float32
    exponent = 1 / divergences()[name].base_exponent
    np.testing.assert_allclose(values**exponent, truth**exponent, atol=2e-6, rtol=0)


def two_levels(n, n_first, first, second, flat):
    """Two rows of few different entries, so that what is rounded adds up; and the same in two bins.

    An f-divergence stays the same when bins in which p/q is the same are put together.
    """
    x, y = np.full(n, flat), np.where(np.arange(n) < n_first, first, second)
    together = [np.array([n_first * a, (n - n_first) * b]) for a, b in ((flat, flat), (first, second))]
    return np.array([x, y]), np.array(together)


@pytest.mark.sampled(8)
@pytest.mark.parametrize("name", ["kl", "jeffreys", "js_divergence", "total_variation", "hellinger", "chi2"])
@pytest.mark.parametrize(
    "levels",
    [
        (2000, 1000, 73.0, 75.0, 74.0),
        (2000, 1029, 0.9864981677588533, 1.0135018322411467, 1.0),
        (100_000, 63_802, 0.88475182125006901, 1.1152481787499309, 1.0),
        (100_000, 50_000, 29.0, 31.0, 30.0),
    ],
)
def test_rounding_that_adds_up_over_the_bins_of_sparse_rows(name, levels):
    rows, together = two_levels(*levels)
    alone = np.eye(62, rows.shape[1])  # with these the rows are sparse enough for the pairs of entries to be met
    values = pairwise_divergences(sp.csr_array(np.vstack([rows, alone])), metric=name)[:2, :2]
    assert_exact(values, together, divergences()[name], oracle.DEFINITIONS[name])


@pytest.mark.parametrize(
    ("record", "levels"),
    [
        (renyi(1.05), (20_000, 8756, 0.26860862970352173, 2.3474903106689453, 1.4023895263671875)),
        (renyi(0.5), (20_000, 8756, 0.26860862970352173, 2.3474903106689453, 1.4023895263671875)),
        (divergences()["jeffreys"], (20_000, 4203, 1.3039631843566895, 2.0958051681518555, 1.7321685552597046)),
        (divergences()["kl"], (100_000, 61_385, 1.0371267795562744, 1.7273885011672974, 1.5021414756774902)),
        (divergences()["js_divergence"], (100_000, 33_049, 0.2538093328475952, 2.317152500152588, 1.742811918258667)),
    ],
    ids=str,
)
def test_rounding_that_adds_up_over_the_bins_in_single_precision(record, levels):
    rows, together = two_levels(*levels)
    value = pairwise_divergences(rows.astype(np.float32), metric=record)[0, 1]
    assert abs(value - record(*together)) < 2e-6


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_rows_in_single_precision_are_divided_by_totals_in_double_precision(convert):
    """The total of a row in single precision would move all its entries, and many of them to another number."""
    rows = random_distributions(20, 3000).astype(np.float32)
    expected = (rows / rows.sum(axis=1, keepdims=True, dtype=np.float64)).astype(np.float32)
    assert np.mean(as_distributions(convert(rows)).dense() != expected) < 1e-3


@pytest.mark.parametrize("alpha", [0.5, 0.9, 0.999, 1.05, 1.1, 2, 3])
@pytest.mark.parametrize("pseudocount", [0.0, 0.01])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_renyi_in_single_precision(alpha, pseudocount, container):
    rows = random_distributions(60, 30, zeros=0.2 if alpha < 1 else 0).astype(np.float32)
    values = pairwise_divergences(container(rows), metric=renyi(alpha), pseudocount=pseudocount)
    truth = pairwise_divergences(rows.astype(np.float64), metric=renyi(alpha), pseudocount=pseudocount)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, truth, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("pseudocount", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(5, 200), (50, 7)])
def test_equal_rows_are_at_zero_however_they_are_stored(record, pseudocount, shape):
    rows = random_distributions(*shape, zeros=0.5)
    dense_then_sparse = rows, sp.csr_array(rows)
    for X, Y in (dense_then_sparse, dense_then_sparse[::-1]):
        assert (pairwise_divergences(X, Y, metric=record, pseudocount=pseudocount).diagonal() == 0).all()
        assert (paired_divergences(X, Y, metric=record, pseudocount=pseudocount) == 0).all()


def test_an_affinity_that_is_nearly_lost():
    """p^0.999 q^0.001 is a subnormal number with few digits left."""
    expected = oracle.renyi([mpmath.mpf(1), mpmath.mpf(5e-324)], [mpmath.mpf(0), mpmath.mpf(1)], 0.999)
    (value,) = pairwise_divergences([[1, 5e-324]], [[0, 1]], metric=renyi(0.999))[0]
    assert oracle.relative_error(value, expected) < 1e-9


def test_the_oracle_would_catch_an_inaccurate_result():
    """A matrix product alone, without the exact recomputation, fails between near duplicates."""
    X = near_duplicates(1e-6)
    X /= X.sum(axis=1, keepdims=True)
    naive = (X * np.log(X)).sum(axis=1)[:, np.newaxis] - X @ np.log(X).T
    with pytest.raises(AssertionError):
        assert_exact(naive, X, divergences()["kl"], oracle.kl)
