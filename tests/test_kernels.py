"""The two kernels: the same interface, the same bounds, and the choice between them."""

import os
import pickle
import subprocess
import sys
from itertools import product

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
from conftest import random_distributions
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from scipy.special import xlogy

from skdiv import DivergenceClustering, condensed_divergences, divergences, pairwise_divergences, show_versions
from skdiv._compute import kernels
from skdiv._compute.kernels.merging import SparseMergingRows
from skdiv._compute.search import lowest_of_each
from skdiv._compute.shortlists import Shortlists

NAMES = ["numpy", "numba"]
FORMS = {"mixture": lambda p, q: xlogy(p + q, p + q), "difference": lambda p, q: -np.abs(p - q)}


def overlaps_by_definition(pair, P, Q):
    g = FORMS[pair]
    P, Q = P[:, np.newaxis], Q[np.newaxis]
    return ((g(P, Q) - g(P, 0 * Q) - g(0 * P, Q)) / 2).sum(axis=-1)


def overlaps_of(function, pair, P, Q, *, upper=False):
    out = np.full((P.shape[0], Q.shape[0]), np.nan)
    function(pair, P, Q, out, upper=upper)
    return out


def run_python(code, **environment):
    """Its standard output, in a fresh process."""
    environment = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pair", FORMS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 5), (17, 33, 40), (16, 16, 16), (40, 7, 300)])
@pytest.mark.parametrize("zeros", [0.0, 0.6])
def test_overlaps_are_those_of_the_definition(name, pair, shape, zeros):
    """Numbers of rows that fill no register, bins that fill no run, zeros in either or both."""
    P, Q = (random_distributions(n, shape[2], zeros=zeros, seed=n) for n in shape[:2])
    expected = overlaps_by_definition(pair, P, Q)
    kernel = kernels.load(name)
    np.testing.assert_allclose(overlaps_of(kernel.overlaps, pair, P, Q), expected, rtol=0, atol=5e-14)
    sparse = overlaps_of(kernel.sparse_overlaps, pair, sp.csc_array(P), sp.csc_array(Q))
    np.testing.assert_allclose(sparse, expected, rtol=0, atol=5e-14)


@pytest.mark.parametrize("pair", FORMS)
def test_numpy_computes_the_same_in_many_small_batches(pair, monkeypatch):
    P, Q = random_distributions(19, 12, zeros=0.5), random_distributions(7, 12, zeros=0.5, seed=1)
    kernel, expected = kernels.load("numpy"), overlaps_by_definition(pair, P, Q)
    monkeypatch.setattr(kernel, "_CELL", 50)
    np.testing.assert_allclose(overlaps_of(kernel.overlaps, pair, P, Q), expected, rtol=0, atol=5e-14)
    sparse = overlaps_of(kernel.sparse_overlaps, pair, sp.csc_array(P), sp.csc_array(Q))
    np.testing.assert_allclose(sparse, expected, rtol=0, atol=5e-14)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decimals", [9, 0])
def test_lists_of_the_lowest_keep_them_when_they_fill(name, decimals):
    """Scores that mostly fall from column to column, without ties or with many, fill the lists again and again."""
    rng = np.random.default_rng(0)
    scores = np.round(np.linspace(50, 0, 600) + rng.normal(0, 5, (40, 600)), decimals)
    lists = Shortlists.of(40, 3, 12, scores.dtype)
    for start in range(0, 600, 4):
        kernels.load(name).add_to_shortlists(lists, np.ascontiguousarray(scores[:, start : start + 4]), start)
    assert (lists.lengths >= 0).all()
    values, places = lowest_of_each(*lists.kept(), 40, 3)
    np.testing.assert_array_equal(places, np.argsort(scores, axis=1, kind="stable")[:, :3])
    np.testing.assert_array_equal(values, np.sort(scores, axis=1)[:, :3])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sparse", [False, True])
def test_overlaps_of_rows_that_are_merged_are_those_of_their_sums(name, sparse):
    rows, kernel = random_distributions(9, 20, zeros=0.6), kernels.load(name)
    merging = SparseMergingRows(sp.csr_array(rows), kernel) if sparse else kernel.merging(rows)
    members = [[k] for k in range(9)]
    for i, j in ((2, 5), (5, 6), (0, 1)):
        merging.merge(i, j)
        members[i], members[j] = [], members[i] + members[j]
        if j == 6:
            left = [k for k, some in enumerate(members) if some]
            merging.keep(np.array(left))
            members = [members[k] for k in left]
        sums = np.array([rows[some].sum(axis=0) for some in members])
        for one, start in product([k for k, some in enumerate(members) if some], (0, 3)):
            found, expected = merging.overlaps(one, start), overlaps_by_definition("mixture", sums[[one]], sums[start:])
            alive = np.array([bool(some) for some in members[start:]])
            np.testing.assert_allclose(found[alive], expected[0, alive], rtol=0, atol=5e-14)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pair", FORMS)
def test_above_the_diagonal_only_is_the_same(name, pair):
    P, kernel = random_distributions(37, 20, zeros=0.5), kernels.load(name)
    above = np.triu_indices(37, 1)
    for function, rows in ((kernel.overlaps, P), (kernel.sparse_overlaps, sp.csc_array(P))):
        half, whole = (overlaps_of(function, pair, rows, rows, upper=upper) for upper in (True, False))
        np.testing.assert_array_equal(half[above], whole[above])


@pytest.mark.parametrize("name", NAMES)
def test_what_a_pair_gives_does_not_depend_on_its_neighbours(name):
    """Else the bits would depend on the tiles."""
    P, Q, kernel = random_distributions(50, 100, zeros=0.3), random_distributions(41, 100, seed=1), kernels.load(name)
    whole = overlaps_of(kernel.overlaps, "mixture", P, Q)
    np.testing.assert_array_equal(whole, overlaps_of(kernel.overlaps, "mixture", Q, P).T)
    for i, j in ((0, 0), (49, 40), (20, 17)):
        assert overlaps_of(kernel.overlaps, "mixture", P[i : i + 1], Q[j : j + 1]) == whole[i, j]


@pytest.mark.parametrize("name", NAMES)
def test_rows_that_share_no_bin_are_exactly_at_the_top(name, monkeypatch):
    monkeypatch.setenv("SKDIV_KERNEL", name)
    rows = sp.csr_array(np.kron(np.eye(5), [[1.0, 2.0, 4.0]]))
    for metric, top in (("js_divergence", np.log(2)), ("total_variation", 1.0)):
        assert set(condensed_divergences(rows, metric)) == {top}


def test_the_logarithm_of_the_compiled_kernel():
    """Within the error that its source states, at any scale; finite at zero and below the normal numbers."""
    compiled = kernels.load("numba")
    for dtype, smallest, bound in ((np.float64, -1022, 3e-14), (np.float32, -126, 1.5e-7)):
        rng = np.random.default_rng(0)
        x = np.ldexp(rng.uniform(1, 2, (1, 3000)), rng.integers(smallest, 2, (1, 3000))).astype(dtype)
        x[0, :5] = 1, 2, 1.5, 0, np.finfo(dtype).smallest_subnormal
        logs = np.empty_like(x)
        compiled._add_row_sums(True, x, logs, np.zeros(x.shape[1]))
        assert np.isfinite(logs).all()
        normal = x[0] >= np.finfo(dtype).tiny
        exact = np.array([float(mpmath.log(mpmath.mpf(float(value)) / 1.5, 2)) for value in x[0, normal]])
        errors, rounding = logs[0, normal] - exact, np.finfo(dtype).eps * np.abs(exact)
        assert (np.abs(errors) <= bound + rounding).all()
        about_mean = compiled.ERROR_OF_MIXTURE[np.dtype(dtype)] / (2 * np.log(2))
        near = np.abs(exact) < 1  # the others are rounded more than they err
        assert 0.8 * about_mean < np.ptp(errors[near]) / 2 < about_mean + np.finfo(dtype).eps


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("metric", ["js_distance", "total_variation"])
@pytest.mark.parametrize("density", [0.02, 0.2, 0.9])
def test_sparse_rows_give_what_dense_rows_give(name, metric, density, monkeypatch):
    """By the bins that rows share, and where they share many by blocks made dense."""
    monkeypatch.setenv("SKDIV_KERNEL", name)
    X, Y = (random_distributions(n, 700, zeros=1 - density, seed=n) for n in (60, 45))
    for A, B in ((X, None), (X, Y)):
        dense = pairwise_divergences(A, B, metric)
        sparse = pairwise_divergences(sp.csr_array(A), None if B is None else sp.csr_array(B), metric)
        np.testing.assert_allclose(sparse, dense, rtol=0, atol=1e-13)


@pytest.mark.sampled(12)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("metric", [name for name, record in divergences().items() if record.base_exponent is not None])
@pytest.mark.parametrize("n_bins", [2, 60, 1000, pytest.param(50_000, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("concentration", [0.05, 1.0, 100.0])
def test_single_precision_is_right_to_two_millionths_of_a_nat(name, metric, n_bins, concentration, monkeypatch):
    """Absolute up to one nat, then relative; rows from nearly one bin to nearly uniform, over any number of bins."""
    monkeypatch.setenv("SKDIV_KERNEL", name)
    X = np.random.default_rng(n_bins).dirichlet(np.full(n_bins, concentration), 24) + 1e-9 / n_bins
    X = X.astype(np.float32)
    for rows in (X, sp.csr_array(X)):
        values, truth = (
            pairwise_divergences(rows, metric=metric),
            pairwise_divergences(X.astype(np.float64), metric=metric),
        )
        assert values.dtype == np.float32
        exponent = 1 / divergences()[metric].base_exponent
        np.testing.assert_allclose(values**exponent, truth**exponent, atol=2e-6, rtol=2e-6)


# --- The choice ---


def test_the_environment_variable_sets_the_kernel(monkeypatch, capsys):
    for name in NAMES:
        monkeypatch.setenv("SKDIV_KERNEL", name)
        assert kernels.chosen() == name
        show_versions()
        assert f"\nkernel: {name}\n" in capsys.readouterr().out
    monkeypatch.setenv("SKDIV_KERNEL", "cython")
    with pytest.raises(ValueError, match="SKDIV_KERNEL = 'cython' must be 'numpy' or 'numba'"):
        pairwise_divergences([[1, 2]])


def test_without_numba_numpy_computes(monkeypatch, capsys):
    X = random_distributions(30, 8)
    monkeypatch.setenv("SKDIV_KERNEL", "numpy")
    expected = pairwise_divergences(X)
    monkeypatch.setattr(kernels, "obstacle_to_numba", lambda: "No module named 'numba'")
    monkeypatch.setitem(sys.modules, "skdiv._compute.kernels.numba", None)
    monkeypatch.delenv("SKDIV_KERNEL")
    assert kernels.chosen() == "numpy"
    np.testing.assert_array_equal(pairwise_divergences(X), expected)
    show_versions()
    assert "kernel: numpy (No module named 'numba')" in capsys.readouterr().out
    monkeypatch.setenv("SKDIV_KERNEL", "numba")
    with pytest.raises(ImportError, match=r"No module named 'numba'. Try pip install numba"):
        pairwise_divergences([[1, 2]])


@pytest.mark.exhaustive
def test_numba_that_cannot_be_imported_is_no_error():
    code = """
import sys
sys.modules["numba"] = None
import skdiv
print(skdiv.pairwise_divergences([[1, 2], [2, 1]], metric="total_variation"))
skdiv.show_versions()
"""
    out = run_python(code, SKDIV_KERNEL="")
    assert "0.33" in out
    assert "kernel: numpy (" in out


@pytest.mark.exhaustive
def test_importing_skdiv_does_not_import_what_takes_long():
    slow = {"numba", "sklearn.cluster", "dask", "distributed", "matplotlib"}
    assert run_python(f"import sys, skdiv; print({slow} & set(sys.modules))", SKDIV_KERNEL="") == "set()\n"


@pytest.mark.exhaustive
def test_a_cache_that_cannot_be_written_does_no_harm():
    nowhere = "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []; "
    code = "import skdiv; print(skdiv.condensed_divergences([[1, 0], [0, 1]], metric='total_variation'))"
    assert run_python(nowhere + code, SKDIV_KERNEL="numba") == "[1.]\n"


def test_a_model_fitted_with_numba_predicts_without(monkeypatch):
    X = random_distributions(30, 8)
    monkeypatch.setenv("SKDIV_KERNEL", "numba")
    model = pickle.dumps(DivergenceClustering(3).fit(X))
    monkeypatch.delenv("SKDIV_KERNEL")
    monkeypatch.setattr(kernels, "obstacle_to_numba", lambda: "No module named 'numba'")
    monkeypatch.setitem(sys.modules, "skdiv._compute.kernels.numba", None)
    loaded = pickle.loads(model)
    np.testing.assert_array_equal(loaded.predict(X), loaded.labels_)


@pytest.mark.exhaustive
def test_workers_use_the_kernel_of_their_caller(monkeypatch):
    """Processes that were started under another choice, whose environment still says so."""
    X = random_distributions(1001, 24)
    bits = {}
    for name in NAMES:
        monkeypatch.setenv("SKDIV_KERNEL", name)
        bits[name] = pairwise_divergences(X)
    assert not np.array_equal(*bits.values())
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    get_reusable_executor().shutdown()
    with parallel_config("loky", n_jobs=2):
        assert set(Parallel()(delayed(os.getenv)("SKDIV_KERNEL") for _ in range(4))) == {"numba"}
        monkeypatch.setenv("SKDIV_KERNEL", "numpy")
        np.testing.assert_array_equal(pairwise_divergences(X), bits["numpy"])
        assert set(Parallel()(delayed(os.getenv)("SKDIV_KERNEL") for _ in range(4))) == {"numba"}
    get_reusable_executor().shutdown()
