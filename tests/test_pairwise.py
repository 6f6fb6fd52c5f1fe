"""The three functions: against SciPy, and with every kind of input and output they take."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import POLARS, random_distributions
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.special import rel_entr
from scipy.stats import entropy

from skdiv import (
    Divergence,
    condensed_divergences,
    divergences,
    divergences_chunked,
    divergences_within,
    nearest_divergences,
    paired_divergences,
    pairwise_divergences,
)
from skdiv.explanations import divergence_contributions

pytestmark = pytest.mark.usefixtures("kernel")


def kl_of_scipy(X, Y):
    return rel_entr(X[:, np.newaxis], Y[np.newaxis]).sum(axis=-1)


@pytest.mark.parametrize("zeros", [0.0, 0.7])
@pytest.mark.parametrize("base", [None, 2])
def test_js_distance_is_scipys(zeros, base):
    X, Y = random_distributions(40, 31, zeros=zeros), random_distributions(15, 31, zeros=zeros, seed=8)
    ours = pairwise_divergences(X, Y, base=base)
    np.testing.assert_allclose(
        ours, cdist(X, Y, "jensenshannon") / (1 if base is None else np.log(2) ** 0.5), rtol=1e-12
    )
    np.testing.assert_allclose(condensed_divergences(X), pdist(X, "jensenshannon"), rtol=1e-12)


@pytest.mark.parametrize("zeros", [0.0, 0.3])
def test_kl_is_scipys_with_its_infinities(zeros):
    X, Y = random_distributions(40, 31, zeros=zeros), random_distributions(15, 31, zeros=zeros / 10, seed=8)
    expected = kl_of_scipy(X, Y)
    assert np.isinf(expected).any() == (zeros > 0)
    assert np.isfinite(expected).any()
    np.testing.assert_allclose(pairwise_divergences(X, Y, metric="kl"), expected, rtol=1e-12)
    np.testing.assert_allclose(paired_divergences(X[:15], Y, metric="kl"), expected[:15].diagonal(), rtol=1e-12)


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_jeffreys_is_infinite_whichever_of_two_rows_lacks_a_bin(convert):
    X = convert(np.kron(np.eye(60), [[1.0, 0.0], [1.0, 1.0]]))  # In each block one row lacks a bin that the other has.
    for Y in (None, X):
        np.testing.assert_array_equal(pairwise_divergences(X, Y, "jeffreys"), np.where(np.eye(120), 0, np.inf))


def test_kl_and_js_of_scipys_entropy(X):
    m = (X[0] + X[1]) / 2
    assert divergences()["kl"](X[0], X[1], base=2) == pytest.approx(entropy(X[0], X[1], base=2), rel=1e-12)
    expected = entropy(m) - (entropy(X[0]) + entropy(X[1])) / 2
    assert divergences()["js_divergence"](X[0], X[1]) == pytest.approx(expected, rel=1e-10)


def test_counts_are_normalised(X, record):
    counts = X * np.arange(1, 24)[:, np.newaxis] * 100
    np.testing.assert_allclose(
        pairwise_divergences(counts, metric=record), pairwise_divergences(X, metric=record), rtol=1e-9, atol=1e-15
    )


def test_the_direction_is_from_row_to_column(X):
    matrix = pairwise_divergences(X, X[:4], metric="kl")
    assert matrix.shape == (23, 4)
    assert matrix[7, 2] == pytest.approx(entropy(X[7], X[2]), rel=1e-12)
    assert abs(matrix[7, 2] - entropy(X[2], X[7])) > 1e-3


def test_a_self_matrix_is_symmetric_to_the_bit(record, sparse_rows):
    matrix = pairwise_divergences(np.tile(sparse_rows, (40, 1)) * random_distributions(920, 17), metric=record)
    if record.symmetric:
        np.testing.assert_array_equal(matrix, matrix.T)
    else:
        assert not np.array_equal(matrix, matrix.T)


@pytest.mark.parametrize("symmetrize", ["mean", "min", "max"])
def test_symmetrisations_of_an_asymmetric_divergence(symmetrize, X):
    square = pairwise_divergences(X, metric="kl")
    expected = {
        "mean": (square + square.T) / 2,
        "min": np.minimum(square, square.T),
        "max": np.maximum(square, square.T),
    }
    np.testing.assert_array_equal(
        condensed_divergences(X, metric="kl", symmetrize=symmetrize), expected[symmetrize][np.triu_indices(23, 1)]
    )


def test_an_asymmetric_divergence_is_not_halved_silently(X):
    """SciPy's squareform keeps the upper triangle of such a matrix without a word."""
    with pytest.raises(ValueError, match="'kl' is not symmetric.* symmetrize='mean', 'min' or 'max'"):
        condensed_divergences(X, metric="kl")
    with pytest.raises(ValueError, match="symmetrize = 'median' must be one of"):
        condensed_divergences(X, metric="kl", symmetrize="median")


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 300])
def test_the_condensed_order_is_pdists(n):
    X = random_distributions(n, 5)
    condensed = condensed_divergences(X)
    assert condensed.shape == (n * (n - 1) // 2,)
    np.testing.assert_array_equal(squareform(condensed) if n > 1 else np.zeros((1, 1)), pairwise_divergences(X))


# --- Input ---


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array, sp.coo_array])
def test_sparse_input_gives_the_dense_result(kind, record, sparse_rows):
    dense = pairwise_divergences(sparse_rows, sparse_rows[:9], metric=record)
    for X, Y in [
        (kind(sparse_rows), kind(sparse_rows[:9])),
        (kind(sparse_rows), sparse_rows[:9]),
        (sparse_rows, kind(sparse_rows[:9])),
    ]:
        np.testing.assert_allclose(pairwise_divergences(X, Y, metric=record), dense, rtol=1e-9, atol=1e-15)
    self_matrix = pairwise_divergences(sparse_rows, metric=record)
    np.testing.assert_allclose(
        pairwise_divergences(kind(sparse_rows), metric=record), self_matrix, rtol=1e-9, atol=1e-15
    )
    np.testing.assert_allclose(
        paired_divergences(kind(sparse_rows), kind(sparse_rows[::-1]), metric=record),
        paired_divergences(sparse_rows, sparse_rows[::-1], metric=record), rtol=1e-9, atol=1e-15,
    )  # fmt: skip


def test_a_pseudocount_is_added_to_every_entry_dense_or_sparse(record, sparse_rows):
    counts = np.round(sparse_rows * 50)
    expected = pairwise_divergences(counts + 0.5, metric=record)
    assert np.isfinite(expected).all()
    for X in (counts, sp.csr_array(counts)):
        ours = pairwise_divergences(X, metric=record, pseudocount=0.5)
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-15)


def test_a_sparse_matrix_with_duplicates_and_stored_zeros(record):
    indices, indptr = np.array([0, 0, 2, 1, 2, 0]), np.array([0, 3, 6])
    X = sp.csr_array((np.array([1.0, 1, 2, 0, 5, 3]), indices, indptr), shape=(2, 3))
    expected = pairwise_divergences([[2, 0, 2], [3, 0, 5]], metric=record)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(pairwise_divergences(X, metric=record), expected, rtol=1e-12)
    assert X.data.tolist() == [1, 1, 2, 0, 5, 3]


def test_sparse_rows_of_many_bins_give_what_scipy_gives():
    rng = np.random.default_rng(0)
    places = np.repeat(np.arange(12), 300), rng.integers(0, 300_000, 12 * 300)
    X = sp.csr_array((rng.random(12 * 300), places), shape=(12, 300_000))
    distances = pairwise_divergences(X)
    np.testing.assert_allclose(distances, squareform(pdist(X.toarray(), "jensenshannon")), rtol=1e-12)


@pytest.mark.parametrize("order", ["C", "F", "strided"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8, bool])
def test_layouts_and_dtypes(order, dtype):
    counts = (200 * random_distributions(12, 9) + 1).astype(dtype)
    X = {"C": counts, "F": np.asfortranarray(counts), "strided": np.repeat(counts, 2, axis=1)[:, ::2]}[order]
    matrix = pairwise_divergences(X)
    assert matrix.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_array_equal(matrix, pairwise_divergences(counts.copy()))


def test_single_with_double_precision_is_double(X):
    assert pairwise_divergences(X.astype(np.float32), X).dtype == np.float64
    assert condensed_divergences(X.astype(np.float32)).dtype == np.float32
    assert paired_divergences(X.astype(np.float32), X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("frame", [pd.DataFrame, POLARS, np.ndarray.tolist, lambda X: pd.DataFrame(X).convert_dtypes()])
def test_frames_and_lists(X, frame):
    np.testing.assert_array_equal(pairwise_divergences(frame(X)), pairwise_divergences(X))


def test_input_is_neither_modified_nor_required_to_be_writeable(record, sparse_rows, tmp_path):
    stored = np.memmap(tmp_path / "rows", dtype=np.float64, mode="w+", shape=sparse_rows.shape)
    stored[:] = sparse_rows
    stored.flush()
    mapped = np.memmap(tmp_path / "rows", dtype=np.float64, mode="r", shape=sparse_rows.shape)
    csr = sp.csr_array(sparse_rows)
    for array in (csr.data, csr.indices, csr.indptr):
        array.flags.writeable = False
    before = sparse_rows.copy()
    expected = pairwise_divergences(before, metric=record)
    for X in (sparse_rows, mapped):
        np.testing.assert_array_equal(pairwise_divergences(X, metric=record), expected)
    np.testing.assert_allclose(pairwise_divergences(csr, metric=record), expected, rtol=1e-9, atol=1e-15)
    for X in (sparse_rows, mapped, csr.toarray()):
        np.testing.assert_array_equal(X, before)


def test_weights_near_the_largest_float_do_not_overflow():
    X = np.array([[1.0, 2, 0], [3, 1, 4]])
    expected = pairwise_divergences(X)
    for rows in (X * 4e307, sp.csr_array(X * 4e307)):
        np.testing.assert_allclose(pairwise_divergences(rows), expected, rtol=1e-15)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_equal_weights_of_different_dtypes_are_at_zero(kind, record):
    counts = np.random.default_rng(0).integers(1, 1000, (9, 33))
    single, double, integer = kind(counts.astype(np.float32)), kind(counts.astype(np.float64)), kind(counts)
    for X, Y in [(single, double), (integer, single), (double, integer)]:
        assert (pairwise_divergences(X, Y, metric=record).diagonal() == 0).all()
        assert (paired_divergences(X, Y, metric=record) == 0).all()


def test_a_row_beside_a_huge_one_keeps_its_mass():
    X = np.array([[1e308, 1e308, 0], [1e-20, 1e-20, 2e-20]])
    expected = pairwise_divergences([[1, 1, 0], [1, 1, 2]])
    for rows in (X, sp.csr_array(X)):
        np.testing.assert_allclose(pairwise_divergences(rows), expected, rtol=1e-15)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_a_tiny_pseudocount_is_not_lost_in_single_precision(kind):
    X = kind(np.array([[0, 0], [1, 3]], dtype=np.float32))
    assert pairwise_divergences(X, metric="js_distance", pseudocount=1e-50)[0, 0] == 0
    with pytest.raises(ValueError, match="would become 0 in float32"):
        pairwise_divergences(kind(np.array([[0, 3]], dtype=np.float32)), metric="kl", pseudocount=1e-50)


@pytest.mark.parametrize("metric", ["kl", "jeffreys", "hellinger", "js_distance"])
def test_sparse_results_do_not_suffer_from_many_bins(metric):
    """SciPy adds up a sparse product term after term, in the precision of its data."""
    base = random_distributions(1, 500) + 1e-6
    X = np.tile(base * (1 + 0.03 * np.random.default_rng(0).uniform(-1, 1, (2, 500))), 100)
    expected = pairwise_divergences(X, metric=metric)
    np.testing.assert_allclose(pairwise_divergences(sp.csr_array(X), metric=metric), expected, rtol=5e-10)
    single = pairwise_divergences(sp.csr_array(X.astype(np.float32)), metric=metric)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-6)


# --- Output ---


@pytest.mark.parametrize("mirrored", [True, False])
def test_out_receives_the_result(tmp_path, X, mirrored):
    Y = None if mirrored else X[:5]
    expected = pairwise_divergences(X, Y)
    for out in (
        np.empty(expected.shape),
        np.empty(expected.shape, order="F"),
        np.memmap(tmp_path / "out", dtype=np.float64, mode="w+", shape=expected.shape),
    ):
        assert pairwise_divergences(X, Y, out=out) is out
        np.testing.assert_array_equal(out, expected)


def test_out_of_the_wrong_kind_is_refused(X):
    read_only = np.empty((23, 23))
    read_only.flags.writeable = False
    for out in (np.empty((23, 22)), np.empty((23, 23), dtype=np.float32), read_only, [[0.0]]):
        with pytest.raises(ValueError, match=r"out must be a writeable float64 array of shape \(23, 23\)"):
            pairwise_divergences(X, out=out)


@pytest.mark.parametrize("metric", ["js_distance", "kl"])
def test_sparse_rows_in_many_tiles_are_the_dense_ones(metric):
    """More rows than a tile has, beside their like and beside others, of which there are as many or fewer."""
    X, Y, Z = (random_distributions(n, 40, zeros=0.9, seed=seed) for n, seed in ((1100, 0), (700, 1), (1100, 2)))
    for other in (None, Y, Z):
        sparse = pairwise_divergences(sp.csr_array(X), other if other is None else sp.csr_array(other), metric)
        np.testing.assert_allclose(sparse, pairwise_divergences(X, other, metric), rtol=1e-9, atol=1e-13)


def test_two_collections_of_one_size_are_told_apart(record):
    X, Y = random_distributions(20, 9), random_distributions(20, 9, seed=1)
    matrix = pairwise_divergences(X, Y, record)
    np.testing.assert_allclose(np.diagonal(matrix), paired_divergences(X, Y, record), rtol=1e-9)
    np.testing.assert_allclose(matrix[:, 3], pairwise_divergences(X, Y[3:4], record)[:, 0], rtol=1e-9)


FAR = np.float32([[1, 1, 0], [1, 1e-42, 0], [2, 1, 0], [1, 1e-30, 0]])  # a chi2 of 2.5e41 is beyond single precision
BEYOND_SINGLE = {
    "pairwise": pairwise_divergences,
    "pair of collections": lambda X, metric: pairwise_divergences(X, X.copy(), metric=metric),
    "condensed": lambda X, metric: condensed_divergences(X, metric=metric, symmetrize="max"),
    "paired": lambda X, metric: paired_divergences(X, X[[1, 2, 3, 0]], metric=metric),
    "dense and sparse": lambda X, metric: paired_divergences(FAR, X[[1, 2, 3, 0]], metric=metric),
    "chunked": lambda X, metric: np.vstack(list(divergences_chunked(X, metric=metric))),
    "nearest": lambda X, metric: nearest_divergences(X, n_neighbors=3, metric=metric)[0],
    "within": lambda X, metric: np.append(divergences_within(X, metric=metric, radius=1).data, np.float32(np.inf)),
    "contributions": lambda X, metric: divergence_contributions(X, X[[1, 2, 3, 0]], metric),
}


@pytest.mark.parametrize("call", BEYOND_SINGLE.values(), ids=BEYOND_SINGLE)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("own", [False, True])
def test_a_value_beyond_single_precision_is_infinite_and_raises_no_warning(call, container, own):
    squared = Divergence(name="squared", term=lambda p, q: 1e50 * (p - q) ** 2, symmetric=True)
    values = call(container(FAR), metric=squared if own else "chi2")
    assert values.dtype == np.float32
    assert np.isinf(values).any()
    assert np.isfinite((squared if own else divergences()["chi2"])(FAR[0], FAR[1]))


def test_a_base_near_one_may_take_values_beyond_single_precision():
    record = Divergence(name="huge", term=lambda p, q: 3e38 * np.abs(p - q) / 2, symmetric=True, base_exponent=1.0)
    values = pairwise_divergences(np.float32([[1, 0], [0, 1]]), metric=record, base=1.5)
    assert values.tolist() == [[0, np.inf], [np.inf, 0]]
