"""Collections of distributions that the tests share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from skdiv import Divergence, divergences, renyi

# The files whose tests take a few milliseconds each: `pytest -m fast` runs them while one works.
FAST = {
    "test_barycenters", "test_checks", "test_datasets", "test_divergence", "test_embedding", "test_fitted_model",
    "test_information_of_rows", "test_models_gaussians", "test_models_markov", "test_models_wasserstein",
    "test_pairwise", "test_preprocessing", "test_public", "test_refusals", "test_spectra", "test_tables", "test_terms",
    "test_textbook",
}  # fmt: skip
RECORDS = [*divergences().values(), renyi(0.5), renyi(0.3), renyi(5)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the fast files."""
    for item in items:
        if item.path.stem in FAST:
            item.add_marker("fast")


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
