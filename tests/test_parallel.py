"""The same bits for any number of workers and any backend; nothing is left behind."""

import pickle
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from conftest import blas_threads, random_distributions
from joblib import parallel_config
from joblib.externals.loky import reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from skdiv import (
    Divergence,
    DivergenceClustering,
    condensed_divergences,
    divergences,
    paired_divergences,
    pairwise_divergences,
)
from skdiv._compute.blocks import products
from skdiv._input.distributions import as_distributions

pytestmark = pytest.mark.usefixtures("kernel")


@pytest.fixture(autouse=True)
def _workers_even_for_little(monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)


METRICS = ["kl", "js_distance", "hellinger", "total_variation"]
# Larger than a tile of each kind of kernel, and not a multiple of it.
X = random_distributions(901, 24, zeros=0.1)
Y = random_distributions(805, 24)


def results(metric, n_jobs=None):
    return [
        pairwise_divergences(X, metric=metric, n_jobs=n_jobs),
        pairwise_divergences(X, Y, metric=metric, n_jobs=n_jobs),
        condensed_divergences(Y, metric=metric, symmetrize="mean", n_jobs=n_jobs),
        paired_divergences(X[:805], Y, metric=metric, n_jobs=n_jobs),
        pairwise_divergences(sp.csr_array(X), metric=metric, n_jobs=n_jobs),
    ]


def assert_same_bits(ours, expected):
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.sampled
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_jobs", [1, 2, 4, -1])
def test_any_number_of_workers_gives_the_same_bits(metric, n_jobs):
    assert_same_bits(results(metric, n_jobs), results(metric))


@pytest.mark.exhaustive
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_any_joblib_backend_gives_the_same_bits(metric, backend):
    expected = results(metric)
    with parallel_config(backend, n_jobs=2):
        assert_same_bits(results(metric), expected)


@pytest.mark.parametrize(("backend", "stored_by_workers"), [("threading", True), ("loky", False)])
def test_threads_store_their_blocks_and_processes_return_them(backend, stored_by_workers, monkeypatch):
    """What a thread stores itself need not wait for the other tiles of its batch."""
    returned = []

    class Recording(joblib.Parallel):
        def __call__(self, tasks):
            blocks = super().__call__(tasks)
            returned.extend(blocks)
            return blocks

    monkeypatch.setattr("skdiv._compute.run.Parallel", Recording)
    expected = pairwise_divergences(X, n_jobs=1)
    assert not returned
    with parallel_config(backend):
        np.testing.assert_array_equal(pairwise_divergences(X, n_jobs=2), expected)
    assert len(returned) > 1
    assert {block is None for block in returned} == {stored_by_workers}


@pytest.mark.exhaustive
def test_a_dask_cluster_of_processes_gives_the_same_bits(dask_client):
    expected = [results(metric) for metric in METRICS]
    with dask_client.as_current(), parallel_config("dask"):
        assert joblib.effective_n_jobs() == 2
        for metric, bits in zip(METRICS, expected, strict=True):
            assert_same_bits(results(metric), bits)
        fitted = DivergenceClustering(5).fit(X)
    np.testing.assert_array_equal(fitted.labels_, DivergenceClustering(5).fit(X).labels_)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_blas_threads_does_not_show(threads):
    expected = results("kl")
    with threadpool_limits(threads, user_api="blas"):
        assert_same_bits(results("kl"), expected)


def test_the_filters_of_warnings_are_left_as_they_are():
    """scikit-learn's delayed sets the filters of the process in each task, and threads race for them."""
    rows = random_distributions(3000, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        for _ in range(3):
            pairwise_divergences(rows, metric="js_divergence", n_jobs=4)
            assert warnings.filters == before


def test_concurrent_calls_give_the_same_bits():
    expected = pairwise_divergences(X, Y, metric="kl")
    before = blas_threads()
    with ThreadPoolExecutor(3) as pool:
        for matrix in pool.map(lambda _: pairwise_divergences(X, Y, metric="kl"), range(30)):
            np.testing.assert_array_equal(matrix, expected)
    assert blas_threads() == before


def test_tiles_run_under_one_blas_thread(monkeypatch):
    seen = set()
    add = products._Products.add

    def seeing(self, left, right):
        seen.update(blas_threads())
        add(self, left, right)

    monkeypatch.setattr(products._Products, "add", seeing)
    with threadpool_limits(2, user_api="blas"):
        results("kl")
    assert seen == {1}


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("metric", ["kl", "js_distance"])
def test_fit_and_predict_do_not_depend_on_n_jobs(n_jobs, metric):
    one = DivergenceClustering(7, metric=metric, pseudocount=1e-3).fit(X)
    other = DivergenceClustering(7, metric=metric, pseudocount=1e-3, n_jobs=n_jobs).fit(X)
    np.testing.assert_array_equal(one.linkage_matrix_, other.linkage_matrix_)
    np.testing.assert_array_equal(one.transform(Y), other.transform(Y))


def interrupting_term(p, q):
    """Fails in some tile, not in the probe at construction."""
    if p.size * q.size > 1000:
        raise KeyboardInterrupt
    return np.abs(p - q)


INTERRUPTING = Divergence(name="interrupting", term=interrupting_term, symmetric=True)


def assert_ends(alive):
    """Ending a worker takes a moment."""
    deadline = time.monotonic() + 20
    while alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupted_threads_are_not_left_behind(n_jobs):
    before, limits = set(threading.enumerate()), blas_threads()
    with pytest.raises(KeyboardInterrupt):
        pairwise_divergences(X, metric=INTERRUPTING, n_jobs=n_jobs)
    assert_ends(lambda: bool(set(threading.enumerate()) - before))
    assert blas_threads() == limits


def test_interrupted_threads_under_blas_are_not_left_behind(monkeypatch):
    """The matrix products of one worker run on threads of their own."""
    before, limits = set(threading.enumerate()), blas_threads()
    monkeypatch.setattr(products._Products, "add", lambda *_: interrupting_term(X, X))
    with pytest.raises(KeyboardInterrupt):
        pairwise_divergences(X, metric="kl")
    assert_ends(lambda: bool(set(threading.enumerate()) - before))
    assert blas_threads() == limits


@pytest.mark.exhaustive
def test_interrupted_processes_are_not_left_behind():
    with parallel_config("loky", n_jobs=2):
        pairwise_divergences(X)
        workers = list(reusable_executor._executor._processes.values())
        assert workers
        with pytest.raises((KeyboardInterrupt, TerminatedWorkerError)):
            pairwise_divergences(X, metric=INTERRUPTING)
    assert_ends(lambda: any(worker.is_alive() for worker in workers))


def test_a_wrong_number_of_workers_is_refused():
    with pytest.raises(ValueError, match="n_jobs == 0 in Parallel has no meaning"):
        pairwise_divergences(X, n_jobs=0)


def test_small_work_starts_no_worker(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr("skdiv._compute.run.Parallel", None)
    pairwise_divergences(X, n_jobs=2)
    pairwise_divergences(X, metric="kl", n_jobs=2)
    pairwise_divergences(sp.csr_array(X), n_jobs=2)
    with pytest.raises(TypeError):
        pairwise_divergences(np.tile(X, 30), n_jobs=2)


def test_every_divergence_is_the_same_on_processes():
    expected = [pairwise_divergences(X[:300] + 1e-9, metric=metric) for metric in divergences()]
    with parallel_config("loky", n_jobs=2):
        assert_same_bits([pairwise_divergences(X[:300] + 1e-9, metric=metric) for metric in divergences()], expected)


@pytest.mark.parametrize("metric", ["js_distance", "kl", "chi2"])
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_the_order_of_the_result_in_memory_does_not_show(metric, backend):
    X = random_distributions(600, 70)
    expected = pairwise_divergences(X, metric=metric)
    memory = np.empty((600, 600), order="F"), np.empty((600, 600))[::-1, ::-1], np.empty((600, 1200))[:, ::2]
    for out in memory:
        with parallel_config(backend):
            pairwise_divergences(X, metric=metric, n_jobs=2, out=out)
        np.testing.assert_array_equal(out, expected)


def test_what_a_block_keeps_stays_in_its_process():
    rows = as_distributions(random_distributions(20, 30))
    size = len(pickle.dumps(rows))
    rows.once(np.log)
    assert len(pickle.dumps(rows)) == size
