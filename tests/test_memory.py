"""What is held beyond input and result: a few MiB, however many pairs; and what is said where memory is too little."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import random_distributions
from sklearn import config_context

from skdiv import (
    DivergenceClustering,
    barycenter,
    condensed_divergences,
    divergences_within,
    nearest_divergences,
    pairwise_divergences,
    pairwise_homogeneity,
)
from skdiv._compute.measure import Measure
from skdiv._utils.memory import Workspace, available_memory

pytestmark = pytest.mark.usefixtures("kernel")

MIB, GIB = 2**20, 2**30


def peak(function):
    """Bytes held at the most while the function runs, beyond those held before."""
    tracemalloc.start()
    function()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@pytest.mark.sampled(2)
@pytest.mark.parametrize("metric", ["js_distance", "kl", "total_variation"])
@pytest.mark.parametrize("n", [4500, pytest.param(6000, marks=pytest.mark.exhaustive)])
def test_a_matrix_needs_little_beyond_its_result(metric, n):
    """The result is larger than what is allowed beside it, so that a second copy or a square matrix would be seen."""
    X = random_distributions(n, 24)
    result, allowed = 8 * n * (n - 1) // 2, 60 * MIB
    assert result > allowed
    assert peak(lambda: condensed_divergences(X, metric=metric, symmetrize="min")) < result + allowed


@pytest.mark.exhaustive
def test_wide_rows_are_taken_a_few_bins_at_a_time():
    X = random_distributions(200, 20_000)
    normalised = X.nbytes
    for metric in ("js_distance", "kl"):
        assert peak(lambda: pairwise_divergences(X, metric=metric)) < normalised + 16 * MIB  # noqa: B023


@pytest.mark.exhaustive
@pytest.mark.parametrize("metric", ["js_distance", "kl"])
def test_features_of_wide_rows_are_made_for_a_few_rows_at_a_time(metric):
    """The rows, their features in single precision, and those of the rows of a task."""
    X = random_distributions(230, 20_000)
    assert peak(lambda: nearest_divergences(X, n_neighbors=1, metric=metric)) < 3 * X.nbytes + 75 * MIB


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
def test_a_pseudocount_does_not_make_all_rows_dense():
    X = (sp.eye_array(1000, 50_000) + sp.random(1000, 50_000, 0.001, random_state=0)).tocsr()
    for metric in ("kl", "chi2"):
        assert peak(lambda: pairwise_divergences(X[:4], X, metric, pseudocount=0.5)) < 40 * MIB  # noqa: B023


@pytest.mark.exhaustive
@pytest.mark.parametrize("center", ["mean", "geometric", "js"])
def test_a_pseudocount_makes_no_cluster_dense(center):
    X = (sp.eye_array(400, 50_000) + sp.random(400, 50_000, 0.001, random_state=0)).tocsr()
    expected = barycenter(X[:20].toarray(), center, pseudocount=0.5)
    np.testing.assert_allclose(barycenter(X[:20], center, pseudocount=0.5), expected, rtol=1e-12)
    if center != "js":  # whose steps take long
        clustering = DivergenceClustering(2, metric="kl", center=center, pseudocount=0.5)
        assert peak(lambda: clustering.fit(X)) < 40 * MIB < X.toarray().nbytes / 2


def test_centers_that_do_not_fit_are_refused_before_the_tree(monkeypatch):
    X = sp.csr_array((np.ones(200), (np.arange(200), 1000 * np.arange(200))), shape=(200, 10**6))
    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: GIB)
    monkeypatch.setattr("skdiv.cluster._fitting.tree_of_rows", None)
    message = r"cluster_centers_ of 150 clusters in 1000000 bins needs 1\.12 GiB .* available\. Ask for fewer"
    with pytest.raises(MemoryError, match=message):
        DivergenceClustering(150).fit(X)


def test_what_other_functions_need_is_known_too(monkeypatch):
    clustering = DivergenceClustering(1500).fit(random_distributions(1500, 3))
    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: 64 * MIB)
    with pytest.raises(MemoryError, match=r"pairwise_homogeneity of X of 3000 rows needs 0\.14 GiB"):
        pairwise_homogeneity(np.ones((3000, 2)), method="chi2")
    with pytest.raises(MemoryError, match=r"transform of 9000 rows to 1500 clusters needs 0\.10 GiB"):
        clustering.transform(random_distributions(9000, 3))


@pytest.mark.exhaustive
def test_dense_beside_sparse_rows():
    X, Y = random_distributions(300, 20_000), sp.csr_array(random_distributions(300, 20_000, zeros=0.99))
    for metric in ("kl", "hellinger"):
        assert peak(lambda: pairwise_divergences(X, Y, metric=metric)) < X.nbytes + 40 * MIB  # noqa: B023


@pytest.mark.sampled(2)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("linkage", ["ward", "average"])
def test_fit_with_weights_needs_its_distances_and_their_square(dtype, linkage):
    X = random_distributions(1500, 8).astype(dtype)
    clustering = DivergenceClustering(linkage=linkage).fit(X)  # What is compiled for the first time takes memory.
    assert peak(lambda: clustering.fit(X, sample_weight=np.full(1500, 2))) < 3.3 * 8 * 1500 * 1499 // 2


@pytest.mark.parametrize(("weighted", "times"), [(False, 2), (True, 3)])
def test_fit_on_distances_needs_no_more(weighted, times):
    n = 1500
    D, weights = pairwise_divergences(random_distributions(n, 8)), np.full(n, 2.0) if weighted else None
    clustering = DivergenceClustering(metric="precomputed")
    assert peak(lambda: clustering.fit(D, sample_weight=weights)) < (times + 0.3) * 8 * n * (n - 1) // 2


def test_distances_that_keep_to_a_graph_are_not_copied():
    D = pairwise_divergences(random_distributions(1500, 8))
    clustering = DivergenceClustering(metric="precomputed", connectivity=sp.eye_array(1500, k=1, format="csr"))
    assert peak(lambda: clustering.fit(D)) < 0.5 * D.nbytes


@pytest.mark.exhaustive
def test_pairs_within_a_radius_take_little_more_than_twice_their_memory():
    X = random_distributions(2500, 8)
    graph = divergences_within(X, radius=1)
    assert graph.nnz == 2500 * 2499
    result = graph.data.nbytes + graph.indices.nbytes
    assert peak(lambda: divergences_within(X, radius=1)) < 2.6 * result + 16 * MIB


# --- Where memory is too little ---

LARGE = random_distributions(4500, 4)  # 4500 × 4500 divergences take 0.15 GiB, and those of pairs half of it
WITHOUT_MATRIX = (
    r"Use nearest_divergences or divergences_within, which .*; divergences_chunked, which .*; or pairwise_divergences "
    r"with a numpy\.memmap as out, .*disk\.$"
)
REFUSED = {
    "pairwise": (
        lambda: pairwise_divergences(LARGE),
        r"matrix of 4500 × 4500 divergences needs 0\.15 GiB of memory, and 0\.06 GiB are available\. " + WITHOUT_MATRIX,
    ),
    "of two": (lambda: pairwise_divergences(LARGE, LARGE), r"needs 0\.15 GiB .*" + WITHOUT_MATRIX),
    "single precision": (
        lambda: pairwise_divergences(LARGE.astype(np.float32)),
        r"needs 0\.08 GiB .*" + WITHOUT_MATRIX,
    ),
    "condensed": (
        lambda: condensed_divergences(LARGE),
        r"10122750 pairs of 4500 rows needs 0\.08 GiB .*" + WITHOUT_MATRIX,
    ),
    "fit": (
        lambda: DivergenceClustering().fit(LARGE),
        r"X of 4500 rows and linkage='ward' needs 0\.13 GiB .*"
        r"available\. Use MiniBatchDivergenceClustering, .*, or linkage='information', .*, or linkage='single', .*\.$",
    ),
    "fit, single": (
        lambda: DivergenceClustering(linkage="single", metric="total_variation").fit(LARGE),
        r"linkage='single' needs 0\.08 GiB .*available\. Use a sample of the rows, and predict the others\.$",
    ),
    "fit, average": (
        lambda: DivergenceClustering(metric="total_variation", linkage="average").fit(LARGE),
        r"available\. Use linkage='single', which needs less, or a sample of the rows, and predict the others\.$",
    ),
    "fit, weighted": (
        lambda: DivergenceClustering(metric="hellinger", linkage="average").fit(LARGE, sample_weight=np.full(4500, 2)),
        r"needs 0\.23 GiB .*available\. Use linkage='ward', .*, or linkage='single', which holds no distances, or a .*",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_too_little_memory_is_known_before_the_first_tile(case, monkeypatch):
    function, message = REFUSED[case]
    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: 64 * MIB)
    monkeypatch.setattr("skdiv._trees.build._MANY_ROWS", 4000)
    monkeypatch.setattr(Measure, "_run", None)
    with pytest.raises(MemoryError, match=message):
        function()


def test_too_little_memory_for_a_tree_of_distances(monkeypatch):
    D = pairwise_divergences(random_distributions(3000, 4))
    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: 64 * MIB)
    with pytest.raises(
        MemoryError, match=r"X of 3000 rows and linkage='average' needs 0\.07 GiB .*Use linkage='single"
    ):
        DivergenceClustering(metric="precomputed").fit(D)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_pairs_within_a_radius_are_refused_before_memory_is_exceeded(n_jobs, monkeypatch):
    X = random_distributions(1600, 8)
    monkeypatch.setattr("skdiv._utils.memory._NEGLIGIBLE", 0)
    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: 8 * MIB)
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    message = (
        r"^The result with \d+ pairs within radius = 1\.0 for (512|1024) of 1600 rows needs 0\.0\d GiB of memory, "
        r"and 0\.01 GiB are available\. Use a smaller radius, or nearest_divergences, .*, or pass some rows of X at a "
    )
    with pytest.raises(MemoryError, match=message):
        divergences_within(X, radius=1, n_jobs=n_jobs)
    assert divergences_within(X, radius=0.2).nnz


@pytest.mark.sampled(1)
def test_what_is_just_enough_is_not_refused(monkeypatch):
    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: 8 * 4500 * 4499 // 2)
    assert condensed_divergences(LARGE).shape == (4500 * 4499 // 2,)
    assert DivergenceClustering(linkage="single", metric="total_variation").fit(LARGE).n_leaves_ == 4500
    with pytest.raises(MemoryError):
        pairwise_divergences(LARGE)


@pytest.mark.sampled(1)
def test_what_needs_no_memory_is_not_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: 0)
    monkeypatch.setattr("skdiv._trees.build._MANY_ROWS", 4000)
    small = pairwise_divergences(LARGE[:1000])
    out = np.memmap(tmp_path / "out", dtype=np.float64, mode="w+", shape=(4500, 4500))
    assert pairwise_divergences(LARGE, out=out) is out
    np.testing.assert_allclose(out[:1000, :1000], small, atol=1e-12)
    assert DivergenceClustering(linkage="information").fit(LARGE[:1000]).n_leaves_ == 1000
    assert DivergenceClustering(linkage="single").fit(LARGE).n_leaves_ == 4500


@pytest.mark.parametrize(("known", "found"), [(None, "more than could be had"), (GIB, "and 1.00 GiB are available")])
def test_memory_that_runs_out_nevertheless_is_explained(known, found, monkeypatch):
    def out_of_memory(*_, **__):
        raise MemoryError("unable to allocate array data.")

    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: known)
    monkeypatch.setattr("skdiv._trees.linkage.hierarchy.linkage", out_of_memory)
    with pytest.raises(MemoryError, match=f"linkage='ward' needs 0.15 GiB of memory, {found}"):
        DivergenceClustering().fit(LARGE)


def kernel_files(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal: 99 kB\nMemFree: 1 kB\nMemAvailable:   8192 kB\nSwapFree: 1024 kB\nHugePages_Total: 0\n"


def test_caches_and_swap_count_as_available(tmp_path):
    assert available_memory(kernel_files(tmp_path, proc__meminfo=MEMINFO)) == 9 * MIB


def test_nothing_is_known_of_another_system(tmp_path):
    assert available_memory(tmp_path) is None


def test_each_control_group_above_the_process_limits_it(tmp_path):
    root = kernel_files(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="1:name=old:/x\n0::/outer/inner\n")
    groups = root / "sys/fs/cgroup"
    stat = f"anon 5\nactive_file {MIB}\ninactive_file {MIB}\nslab_reclaimable {MIB}\nfile 77\n"
    for group, limit, used in (("", "max", 7 * MIB), ("outer", 6 * MIB, 5 * MIB), ("outer/inner", "max", 4 * MIB)):
        (groups / group).mkdir(parents=True, exist_ok=True)
        (groups / group / "memory.max").write_text(f"{limit}\n")
        (groups / group / "memory.current").write_text(f"{used}\n")
        (groups / group / "memory.stat").write_text(stat)
    assert available_memory(root) == (6 - 5 + 3 + 1) * MIB
    (groups / "outer/inner/memory.max").write_text(f"{2 * MIB}")
    assert available_memory(root) == (2 - 4 + 3 + 1) * MIB
    (groups / "outer/inner/memory.max").write_text("0")
    assert available_memory(root) == 0


@pytest.mark.exhaustive
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
