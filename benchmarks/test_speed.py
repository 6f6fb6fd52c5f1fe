"""Cases by which a maintainer sees a regression, and how time grows with rows, bins and entries.

    pip install '.[bench]'
    pytest benchmarks/test_speed.py --benchmark-autosave
    pytest benchmarks/test_speed.py --benchmark-compare --benchmark-compare-fail=median:20%

The second compares with the run before. These are not tests: no time is asserted.
"""

import numpy as np
import pytest
import scipy.sparse as sp

from skdiv import DivergenceClustering, condensed_divergences, pairwise_divergences


def rows(n, n_bins, dtype=np.float64):
    return np.random.default_rng(0).dirichlet(np.ones(n_bins), n).astype(dtype)


@pytest.fixture(params=["numpy", "numba"], autouse=True)
def kernel(request, monkeypatch):
    monkeypatch.setenv("SKDIV_KERNEL", request.param)
    condensed_divergences(rows(3, 3))


@pytest.mark.parametrize("n", [50, 200, 800, 3200])
@pytest.mark.benchmark(group="grows with the square of n")
def test_number_of_rows(benchmark, n):
    benchmark(condensed_divergences, rows(n, 64))


@pytest.mark.parametrize("n_bins", [2, 32, 512, 8192])
@pytest.mark.benchmark(group="grows with n_bins")
def test_number_of_bins(benchmark, n_bins):
    benchmark(condensed_divergences, rows(300, n_bins))


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("n", [50, 2000])
@pytest.mark.benchmark(group="workers")
def test_workers(benchmark, n, n_jobs):
    benchmark(condensed_divergences, rows(n, 256), n_jobs=n_jobs)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("metric", ["js_distance", "total_variation", "kl", "hellinger"])
@pytest.mark.benchmark(group="metrics")
def test_metrics(benchmark, metric, dtype):
    benchmark(pairwise_divergences, rows(1000, 256, dtype), metric=metric)


@pytest.mark.parametrize("density", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("metric", ["js_distance", "kl"])
@pytest.mark.benchmark(group="sparse rows")
def test_sparse_rows(benchmark, metric, density):
    X = sp.random_array((1000, 20_000), density=density, rng=np.random.default_rng(0), format="csr")
    X = sp.csr_array(X + sp.csr_array((np.full(1000, 1e-3), (np.arange(1000), np.arange(1000))), shape=X.shape))
    benchmark(pairwise_divergences, X, metric=metric)


@pytest.mark.parametrize("n", [500, 2000, 8000])
@pytest.mark.benchmark(group="fit")
def test_fit(benchmark, n):
    benchmark(DivergenceClustering(10).fit, rows(n, 64))


@pytest.mark.parametrize(("n", "density"), [(1250, 1.0), (2500, 1.0), (5000, 1.0), (1500, 0.01)])
@pytest.mark.benchmark(group="information")
def test_linkage_by_information(benchmark, n, density):
    """5000 rows of 64 bins; and of 20,000 bins, most of them empty."""
    X = rows(n, 64)
    if density < 1:
        X = sp.random_array((n, 20_000), density=density, rng=np.random.default_rng(0), format="csr")
    clustering = DivergenceClustering(linkage="information", n_jobs=2)
    benchmark.pedantic(clustering.fit, (X,), rounds=3)
