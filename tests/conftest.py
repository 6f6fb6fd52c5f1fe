"""Collections of distributions that the tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from skdiv import Divergence, divergences, renyi

RECORDS = [*divergences().values(), renyi(0.5), renyi(0.3), renyi(5)]


# A frame of polars as a parameter of a test, for the exhaustive run, which has polars.
POLARS = pytest.param(
    lambda *args, **settings: import_module("polars").DataFrame(*args, **settings),
    id="polars",
    marks=pytest.mark.exhaustive,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--most-seconds", type=float, help="fail an unmarked test that takes more processor time")


def covering(cases: list[pytest.Item]) -> Iterator[pytest.Item]:
    """Yield cases of a test until each value of each of its parameters has occurred.

    The next case is the one with most values that have not occurred yet; a hash of its name decides between equals,
    so that a sample does not follow the order of the parameters.
    """
    seen: set[tuple[str, int]] = set()
    values = {case: {(name, id(value)) for name, value in case.callspec.params.items()} for case in cases}
    rest = sorted(cases, key=lambda case: crc32(case.nodeid.encode()))
    while rest and values[best := max(rest, key=lambda case: len(values[case] - seen))] - seen:
        yield best
        rest.remove(best)
        seen |= values[best]


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as exhaustive the cases that a sampled test leaves to the exhaustive run."""
    sampled: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled"):
            sampled.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cases in sampled.values():
        kept = set(islice(covering(cases), *cases[0].get_closest_marker("sampled").args or [None]))
        for case in cases:
            if case not in kept:
                case.add_marker("exhaustive")


def processor_time() -> float:
    """Return the seconds that this process and its children that have ended have used."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Let a test fail that is not marked as exhaustive and takes more processor time than is allowed."""
    before = processor_time()
    yield
    most = item.config.getoption("most_seconds")
    if most and not item.get_closest_marker("exhaustive") and (taken := processor_time() - before) > most:
        pytest.fail(f"{taken:.1f} s of processor time: make it faster, or mark it as exhaustive or sampled")


def random_distributions(n: int, n_bins: int, *, zeros: float = 0.0, seed: int = 0) -> NDArray[np.float64]:
    """Rows of a flat Dirichlet distribution; a share ``zeros`` of the entries is 0, but none of the first bin."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(n_bins), n)
    rows[:, 1:][rng.random((n, n_bins - 1)) < zeros] = 0
    return rows / rows.sum(axis=1, keepdims=True)


def planted(n_per_cluster: int, n_bins: int = 30, n_clusters: int = 3, *, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Counts around well separated centres, shuffled, and the cluster of each."""
    rng = np.random.default_rng(seed)
    centres = rng.dirichlet(np.full(n_bins, 0.3), n_clusters) + 1e-3
    centres /= centres.sum(axis=1, keepdims=True)
    labels = rng.permutation(np.repeat(np.arange(n_clusters), n_per_cluster))
    return np.array([rng.multinomial(500, centres[label]) for label in labels]).astype(float), labels


@pytest.fixture(scope="module", params=["numpy", "numba"])
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """The tests of a module once with each kernel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKDIV_KERNEL", request.param)
        yield request.param


@pytest.fixture(scope="session")
def dask_client() -> Iterator[Any]:
    """A Dask cluster of two processes, which takes seconds to start."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(params=RECORDS, ids=lambda record: record.name)
def record(request: pytest.FixtureRequest) -> Divergence:
    return request.param


@pytest.fixture
def X() -> NDArray[np.float64]:
    """Dense rows, read-only as all input may be."""
    rows = random_distributions(23, 17)
    rows.flags.writeable = False
    return rows


@pytest.fixture
def sparse_rows() -> NDArray[np.float64]:
    """Rows with zeros in different places, read-only."""
    rows = random_distributions(23, 17, zeros=0.6, seed=1)
    rows.flags.writeable = False
    return rows


def blas_threads() -> list[int]:
    """Return the number of threads of each BLAS that is loaded."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
