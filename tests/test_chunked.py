"""The matrix of divergences chunk by chunk: the values, what a function may return for a chunk, and the memory."""

import inspect
import tracemalloc
import weakref

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.metrics import pairwise_distances_chunked

from skdiv import Divergence, divergences_chunked, pairwise_divergences
from skdiv._compute.measure import Measure
from skdiv._input.distributions import normalise
from skdiv.datasets import load_languages

pytestmark = pytest.mark.usefixtures("kernel")

N, N_BINS = 61, 12
ROWS = random_distributions(N, N_BINS, zeros=0.4)
OTHERS = random_distributions(40, N_BINS, zeros=0.4, seed=1)
STORAGES = {
    "dense": (ROWS, OTHERS),
    "sparse": (sp.csr_array(ROWS), sp.csc_matrix(OTHERS)),
    "both": (ROWS, sp.csr_array(OTHERS)),
    "frames": (pd.DataFrame(ROWS), pd.DataFrame(OTHERS)),
}
LEAST = 7 * N * 8 / 2**20  # MiB: seven rows of doubles


def chunks_of(*args, n_rows=7, **kwargs):
    """The chunks of so many rows of doubles each, less for the last."""
    n_right = N if len(args) == 1 else args[1].shape[0]
    return list(divergences_chunked(*args, working_memory=n_rows * n_right * 8 / 2**20, **kwargs))


# --- The values ---


@pytest.mark.sampled
@pytest.mark.parametrize("pseudocount", [0.0, 0.5])
@pytest.mark.parametrize("storage", STORAGES)
def test_chunks_are_slices_of_the_matrix(record, storage, pseudocount):
    X, Y = STORAGES[storage]
    for right in (None, Y):
        args, settings = (X,) if right is None else (X, right), {"metric": record, "pseudocount": pseudocount}
        chunks = chunks_of(*args, **settings)
        assert [len(chunk) for chunk in chunks] == 8 * [7] + [5]
        expected = pairwise_divergences(*args, **settings)
        assert_allclose(np.concatenate(chunks), expected, rtol=3e-9, atol=1e-14)


@pytest.mark.sampled
@pytest.mark.parametrize("n_rows", [1, 7, N])
@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_row_and_itself_are_at_exactly_zero(record, storage, dtype, n_rows):
    X = STORAGES[storage][0].astype(dtype)
    for pseudocount in (0.0, 0.5):
        matrix = np.concatenate(chunks_of(X, metric=record, pseudocount=pseudocount, n_rows=n_rows))
        assert matrix.shape == (N, N)
        assert (matrix.diagonal() == 0).all()


def test_near_duplicates_are_as_accurate_as_in_the_matrix(record):
    noise = np.random.default_rng(0).uniform(-1, 1, (N, N_BINS))
    X = random_distributions(1, N_BINS) * (1 + 1e-7 * noise)
    expected = pairwise_divergences(X, metric=record)
    assert_allclose(np.concatenate(chunks_of(X, metric=record)), expected, rtol=1e-6, atol=0)


def test_base_and_single_precision():
    X = ROWS.astype(np.float32)
    chunks = list(divergences_chunked(X, metric="kl", base=2, pseudocount=0.1, working_memory=7 * N * 4 / 2**20))
    assert [chunk.shape for chunk in chunks] == 8 * [(7, N)] + [(5, N)]
    assert chunks[0].dtype == np.float32
    expected = pairwise_divergences(X, metric="kl", base=2, pseudocount=0.1)
    assert_allclose(np.concatenate(chunks), expected, rtol=1e-5, atol=1e-5)


def test_what_fits_is_one_chunk_of_the_same_bits():
    (chunk,) = divergences_chunked(ROWS)
    assert_array_equal(chunk, pairwise_divergences(ROWS))
    assert_array_equal(chunk, chunk.T)


def test_a_divergence_of_ones_own():
    triangular = Divergence("triangular", lambda p, q: (p - q) ** 2 / np.where(p + q > 0, p + q, 1), symmetric=True)
    expected = pairwise_divergences(ROWS, metric=triangular)
    assert_allclose(np.concatenate(chunks_of(ROWS, metric=triangular)), expected, rtol=1e-12)


def test_rows_that_use_few_of_many_bins():
    counts = load_languages().data
    expected = pairwise_divergences(counts)
    assert_allclose(np.concatenate(list(divergences_chunked(counts, working_memory=0.004))), expected, rtol=1e-9)


@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.parametrize("metric", ["js_distance", "kl"])
def test_bits_do_not_depend_on_workers(metric, backend, monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    X = random_distributions(1100, 16)
    expected = list(divergences_chunked(X, metric=metric, working_memory=5, n_jobs=1))
    assert len(expected) == 2
    with parallel_config(backend=backend):
        found = list(divergences_chunked(X, metric=metric, working_memory=5, n_jobs=2))
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


# --- What is returned for a chunk ---

REDUCTIONS = {
    "array": lambda D, start: np.argsort(D, axis=1)[:, :3],  # noqa: ARG005
    "list": lambda D, start: [np.flatnonzero(row < 0.5) + start for row in D],
    "sparse": lambda D, start: sp.csr_matrix(np.where(D < 0.5, D, 0)),  # noqa: ARG005
    "sparse array": lambda D, start: sp.coo_array(np.where(D < 0.5, D, 0)),  # noqa: ARG005
    "frame": lambda D, start: pd.DataFrame({"lowest": D.min(axis=1)}, index=np.arange(start, start + len(D))),
    "tuple": lambda D, start: (D.sum(axis=1), [start] * len(D)),
    "nothing": lambda D, start: None,  # noqa: ARG005
}


def assert_alike(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(ours, tuple | list):
        for one, other in zip(ours, theirs, strict=True):
            assert_alike(one, other)
    elif ours is not None:
        arrays = (each.toarray() if sp.issparse(each) else np.asarray(each) for each in (ours, theirs))
        assert_allclose(*arrays, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_reduction_is_that_of_scikit_learn(reduction):
    """Its function cuts the rows in the same way, and passes on the same places."""
    settings = {"reduce_func": REDUCTIONS[reduction], "working_memory": LEAST}
    ours = list(divergences_chunked(ROWS, metric="total_variation", **settings))
    assert len(ours) == 9
    assert_alike(ours, list(pairwise_distances_chunked(ROWS / 2, metric="cityblock", **settings)))


def test_a_chunk_may_be_changed():
    X, labels = planted(30)

    def nearest_other(D, start):
        D[np.arange(len(D)), np.arange(start, start + len(D))] = np.inf
        return D.argmin(axis=1)

    nearest = np.concatenate(list(divergences_chunked(X, reduce_func=nearest_other, working_memory=0.01)))
    assert (labels[nearest] == labels).all()


BAD = {
    "a number": (lambda D, start: 3, TypeError, r"reduce_func returned 3 for 7 rows, starting at row 0.*None"),  # noqa: ARG005
    "a tuple in a tuple": (lambda D, start: ((D,),), TypeError, r"reduce_func returned \(array.* for 7 rows"),  # noqa: ARG005
    "a number in a tuple": (lambda D, start: (D, 3.5), TypeError, r"3\.5"),  # noqa: ARG005
    "an iterator": (lambda D, start: iter(D), TypeError, r"iterator"),  # noqa: ARG005
    "a scalar array": (lambda D, start: D.sum(keepdims=False)[()] * np.ones(()), TypeError, r"for 7 rows"),  # noqa: ARG005
    "columns": (lambda D, start: D.min(axis=0), ValueError, r"length 61 for 7 rows, starting at row 0"),  # noqa: ARG005
    "one too few": (lambda D, start: (D, D[1:]), ValueError, r"length 6 for 7 rows"),  # noqa: ARG005
    "later": (lambda D, start: D[: None if start < 14 else -1], ValueError, r"length 6 for 7 rows, starting at row 14"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_belong_to_the_rows_of_a_chunk_is_refused(case):
    function, error, message = BAD[case]
    with pytest.raises(error, match=message):
        list(divergences_chunked(ROWS, reduce_func=function, working_memory=LEAST))


# --- When it is computed, and in what memory ---


def test_nothing_is_computed_before_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(Measure, "matrix", None)
    chunks = divergences_chunked(ROWS)
    assert inspect.isgenerator(chunks)
    with pytest.raises(TypeError, match="not callable"):
        next(chunks)


def test_scikit_learns_working_memory_at_the_call_counts():
    with config_context(working_memory=LEAST):
        chunks = divergences_chunked(ROWS)
    assert [len(chunk) for chunk in chunks] == 8 * [7] + [5]


def test_too_little_working_memory_for_a_row_warns_as_scikit_learn_does():
    with pytest.warns(UserWarning, match="Could not adhere to working_memory config"):
        chunks = divergences_chunked(ROWS, working_memory=0)
    assert [len(chunk) for chunk in chunks] == N * [1]


@pytest.mark.parametrize("reduce_func", [None, lambda D, start: D, lambda D, start: None])  # noqa: ARG005
def test_a_chunk_is_freed_before_the_next_is_computed(reduce_func, monkeypatch):
    chunks, matrix = [], Measure.matrix

    def watched(*args, **kwargs):
        assert all(chunk() is None for chunk in chunks)
        values = matrix(*args, **kwargs)
        chunks.append(weakref.ref(values))
        return values

    monkeypatch.setattr(Measure, "matrix", watched)
    generator = divergences_chunked(ROWS, reduce_func=reduce_func, working_memory=LEAST)
    for _ in range(9):
        next(generator)
    assert len(chunks) == 9


@pytest.mark.exhaustive
def test_memory_is_that_of_a_chunk():
    X = random_distributions(4000, 8)

    def peak(metric):
        tracemalloc.start()
        for _ in divergences_chunked(X, metric=metric, reduce_func=lambda D, _: D.min(axis=1), working_memory=16):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    for metric in ("js_distance", "kl"):
        assert peak(metric) < 40 * 2**20 < 8 * 4000**2 / 3


@pytest.mark.parametrize("right", [None, OTHERS])
def test_rows_are_normalised_once(right, monkeypatch):
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return normalise(*args, **kwargs)

    for module in ("skdiv.pairwise", "skdiv._input.distributions"):
        monkeypatch.setattr(f"{module}.normalise", counted)
    assert len(list(divergences_chunked(ROWS, right, working_memory=LEAST))) > 5
    assert len(calls) == (1 if right is None else 2)


def test_input_is_not_modified():
    X = ROWS.copy()
    X.flags.writeable = False

    def spoil(D, start):  # noqa: ARG001
        D[:] = -1

    list(divergences_chunked(X, reduce_func=spoil))
    list(divergences_chunked(X, X, reduce_func=spoil, working_memory=LEAST))
    assert_array_equal(X, ROWS)


# --- What is refused, at the call ---

NEGATIVE = np.where(np.arange(N_BINS) == 3, -1.0, ROWS)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda: divergences_chunked(NEGATIVE), ValueError, r"X\[0, 3\] = -1"),
        (lambda: divergences_chunked(ROWS, NEGATIVE), ValueError, r"Y\[0, 3\] = -1"),
        (lambda: divergences_chunked(ROWS, ROWS[:, :4]), ValueError, r"12 bins .* Y has 4"),
        (lambda: divergences_chunked(ROWS, "kl"), TypeError, r"metric='kl'"),
        (lambda: divergences_chunked(ROWS, metric="precomputed"), ValueError, r"precomputed"),
        (lambda: divergences_chunked(ROWS, metric="chi2", base=2), ValueError, r"base"),
        (lambda: divergences_chunked(ROWS, pseudocount=-1), ValueError, r"pseudocount"),
        (lambda: divergences_chunked(ROWS, reduce_func="min"), TypeError, r"reduce_func = 'min' .*callable"),
        (lambda: divergences_chunked(ROWS, working_memory=-1), ValueError, r"working_memory = -1"),
        (lambda: divergences_chunked(ROWS, working_memory=np.nan), ValueError, r"working_memory = nan"),
        (lambda: divergences_chunked(ROWS, working_memory="1"), TypeError, r"working_memory"),
        (lambda: divergences_chunked(ROWS, n_jobs="two"), TypeError, r"n_jobs = 'two'"),
    ],
)
def test_errors_come_at_the_call(function, error, message):
    with pytest.raises(error, match=message):
        function()
