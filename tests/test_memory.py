"""What is held beyond input and result: a few MiB, however many pairs there are."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import random_distributions
from sklearn import config_context

from skdiv import DivergenceClustering, condensed_divergences, pairwise_divergences
from skdiv._memory import Workspace

pytestmark = pytest.mark.usefixtures("kernel")

MIB = 2**20


def peak(function):
    """Bytes held at the most while the function runs, beyond those held before."""
    tracemalloc.start()
    function()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("metric", ["js_distance", "kl", "total_variation"])
@pytest.mark.parametrize("n", [4500, 6000])
def test_a_matrix_needs_little_beyond_its_result(metric, n):
    """The result is larger than what is allowed beside it, so that a second copy or a square matrix would be seen."""
    X = random_distributions(n, 24)
    result, allowed = 8 * n * (n - 1) // 2, 60 * MIB
    assert result > allowed
    assert peak(lambda: condensed_divergences(X, metric=metric, symmetrize="min")) < result + allowed


def test_wide_rows_are_taken_a_few_bins_at_a_time():
    X = random_distributions(200, 20_000)
    normalised = X.nbytes
    for metric in ("js_distance", "kl"):
        assert peak(lambda: pairwise_divergences(X, metric=metric)) < normalised + 16 * MIB  # noqa: B023


def test_near_duplicates_are_computed_again_a_few_at_a_time():
    X = np.tile(random_distributions(1, 300), (800, 1)) * (1 + 1e-4 * random_distributions(800, 300))
    for metric in ("js_distance", "kl"):
        assert peak(lambda: pairwise_divergences(X, metric=metric)) < 8 * 800**2 + 3 * X.nbytes + 48 * MIB  # noqa: B023


def test_sparse_rows_are_never_dense_as_a_whole():
    rng = np.random.default_rng(0)
    places = np.repeat(np.arange(30), 50), rng.integers(0, 300_000, 30 * 50)
    X = sp.csr_array((np.ones(30 * 50), places), shape=(30, 300_000))
    assert X.toarray().nbytes > 68 * MIB
    for pseudocount in (0, 0.5):
        assert peak(lambda: pairwise_divergences(X, pseudocount=pseudocount)) < 40 * MIB  # noqa: B023
    assert peak(lambda: pairwise_divergences(X, metric="kl")) < 10 * MIB


def test_a_pseudocount_does_not_make_all_rows_dense():
    X = (sp.eye_array(1000, 50_000) + sp.random(1000, 50_000, 0.001, random_state=0)).tocsr()
    for metric in ("kl", "chi2"):
        assert peak(lambda: pairwise_divergences(X[:4], X, metric, pseudocount=0.5)) < 40 * MIB  # noqa: B023


def test_dense_beside_sparse_rows():
    X, Y = random_distributions(300, 20_000), sp.csr_array(random_distributions(300, 20_000, zeros=0.99))
    for metric in ("kl", "hellinger"):
        assert peak(lambda: pairwise_divergences(X, Y, metric=metric)) < X.nbytes + 40 * MIB  # noqa: B023


def test_fit_needs_twice_its_condensed_matrix():
    X = random_distributions(3000, 8)
    condensed = 8 * 3000 * 2999 // 2
    assert peak(lambda: DivergenceClustering().fit(X)) < 2.5 * condensed


def test_prediction_never_holds_new_by_fitted():
    clustering = DivergenceClustering().fit(random_distributions(2000, 8))
    new = random_distributions(20_000, 8, seed=1)
    assert peak(lambda: clustering.predict(new)) < 110 * MIB < 8 * 2000 * 20_000 / 2
    with config_context(working_memory=8):
        assert peak(lambda: clustering.predict(new)) < 32 * MIB


def test_a_workspace_is_used_again_and_is_of_the_type_asked_for():
    workspace = Workspace()
    first, second = workspace.array((3, 4)), workspace.array((2, 5))
    assert second.shape == (2, 5)
    assert np.may_share_memory(first, second)
    assert workspace.array((2, 2), np.float32).dtype == np.float32
