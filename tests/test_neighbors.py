"""The nearest rows, and those within a radius: exactly those of the matrix, at less than its cost."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import RECORDS, planted, random_distributions
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster import hierarchy
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from sklearn.neighbors import KNeighborsTransformer, RadiusNeighborsTransformer

from skdiv import (
    Divergence,
    condensed_divergences,
    divergences,
    divergences_within,
    nearest_divergences,
    pairwise_divergences,
)
from skdiv._compute import search as search_module
from skdiv._compute.blocks import of_candidates
from skdiv._compute.blocks.termwise import of_pairs
from skdiv._compute.duplicates import EqualRows
from skdiv._compute.kernels import chosen, load
from skdiv._compute.measure import Measure
from skdiv._compute.screens import SpectralScreen
from skdiv._compute.search import Search
from skdiv._divergences.registry import resolve
from skdiv._input.distributions import as_distributions
from skdiv.neighbors import DivergenceNeighborsTransformer

pytestmark = pytest.mark.usefixtures("kernel")
N = 1100  # more than one task and one tile of columns


def near_duplicates(n, n_bins, *, step, seed=0):
    """Return rows in three groups of near duplicates, and a third of rows that are far from all."""
    rng = np.random.default_rng(seed)
    rows = random_distributions(n, n_bins, seed=seed)
    near = rng.random(n) < 2 / 3
    rows[near] = rows[rng.integers(0, 3, near.sum())] * (1 + step * rng.standard_normal((near.sum(), n_bins)))
    return rows


COLLECTIONS = {
    "dense": random_distributions(N, 20),
    "zeros": random_distributions(N, 20, zeros=0.5),
    "equal": random_distributions(40, 20)[np.random.default_rng(0).integers(0, 40, N)],
    "near": near_duplicates(N, 20, step=1e-7),
    "disjoint": np.eye(20)[np.random.default_rng(0).integers(0, 20, N)],
    "sparse": sp.csr_array(random_distributions(N, 40, zeros=0.8)),
}


# A symmetric divergence has one direction.
DIRECTED = [
    pytest.param(record, reverse, id=f"{record.name}{'-reverse' * reverse}")
    for record in RECORDS
    for reverse in ([False] if record.symmetric else [False, True])
]


@pytest.fixture(params=COLLECTIONS)
def rows(request):
    return COLLECTIONS[request.param]


def matrix_of(X, Y=None, *, reverse=False, **kwargs):
    """Return the matrix with infinite entries for rows with themselves."""
    if reverse:
        return pairwise_divergences(X if Y is None else Y, X, **kwargs).T if Y is not None else matrix_of(X, **kwargs).T
    D = pairwise_divergences(X, Y, **kwargs)
    if Y is None:
        np.fill_diagonal(D, np.nan)
    return D


def assert_nearest(found, D, rtol=2e-9, atol=1e-15):
    """Compare with the sorted rows of a matrix: the values, and that the indices are those of such values."""
    values, indices = found
    assert_allclose(values, np.sort(D, axis=1)[:, : values.shape[1]], rtol=rtol, atol=atol)
    assert_allclose(np.take_along_axis(D, indices, axis=1), values, rtol=rtol, atol=atol)
    assert all(len(set(row)) == len(row) for row in indices)
    ties = values[:, 1:] == values[:, :-1]
    assert (np.diff(indices, axis=1)[ties] > 0).all()


# --- The nearest ---


@pytest.mark.sampled
@pytest.mark.parametrize(("record", "reverse"), DIRECTED)
def test_nearest_are_the_lowest_of_the_matrix(record, rows, reverse):
    found = nearest_divergences(rows, n_neighbors=4, metric=record, reverse=reverse)
    assert_nearest(found, matrix_of(rows, metric=record, reverse=reverse))


@pytest.mark.parametrize("metric", ["js_distance", "kl", "hellinger", "total_variation"])
def test_nearest_of_another_collection(metric, rows):
    Y = rows[::2]
    found = nearest_divergences(rows[:300], Y, n_neighbors=3, metric=metric)
    assert_nearest(found, matrix_of(rows[:300], Y, metric=metric))


@pytest.mark.parametrize("metric", ["js_distance", "kl", "chi2"])
def test_nearest_in_single_precision(metric):
    rows = COLLECTIONS["dense"].astype(np.float32)
    values, indices = nearest_divergences(rows, n_neighbors=4, metric=metric)
    assert values.dtype == np.float32
    D = matrix_of(rows, metric=metric)
    assert_allclose(values, np.sort(D, axis=1)[:, :4], rtol=2e-5, atol=3e-6)
    assert_allclose(np.take_along_axis(D, indices, axis=1), values, rtol=2e-5, atol=3e-6)


@pytest.mark.parametrize("symmetrize", ["mean", "min", "max"])
def test_both_directions_become_one_number(symmetrize):
    rows = COLLECTIONS["dense"][:200]
    D = matrix_of(rows, metric="kl")
    both = {"mean": (D + D.T) / 2, "min": np.minimum(D, D.T), "max": np.maximum(D, D.T)}[symmetrize]
    assert_nearest(nearest_divergences(rows, n_neighbors=4, metric="kl", symmetrize=symmetrize), both)


def test_base_and_pseudocount():
    counts = planted(30)[0]
    for container in (np.asarray, sp.csr_array):
        found = nearest_divergences(container(counts), n_neighbors=4, metric="kl", base=2, pseudocount=0.5)
        assert_nearest(found, matrix_of(counts, metric="kl", base=2, pseudocount=0.5))


def test_of_equal_divergences_the_lower_rows_come_first():
    rows = np.eye(3)[[0, 1, 1, 2, 0, 1]]
    values, indices = nearest_divergences(rows, n_neighbors=4, metric="total_variation")
    assert indices.tolist() == [[4, 1, 2, 3], [2, 5, 0, 3], [1, 5, 0, 3], [0, 1, 2, 4], [0, 1, 2, 3], [1, 2, 0, 3]]
    assert values.tolist() == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]]


@pytest.mark.parametrize("name", ["js_divergence", "jeffreys"])
def test_a_record_with_another_finish_is_not_screened_by_the_old_one(name):
    js = divergences()[name]
    record = replace(js, name="tenth", finish=tenth, bound=np.inf, fast=replace(js.fast, finish=tenth))
    rows, D = COLLECTIONS["dense"], matrix_of(COLLECTIONS["dense"], metric=record)
    assert_nearest(nearest_divergences(rows, n_neighbors=4, metric=record), D)
    radius = float(np.nanquantile(D, 0.01))
    assert divergences_within(rows, metric=record, radius=radius).nnz == (radius >= D).sum()


def tenth(total):
    return total / 10


def test_transforming_again_and_again_keeps_no_more():
    base = random_distributions(1, 30)
    rows = base * (1 + 1e-9 * np.random.default_rng(0).standard_normal((1200, 30)))
    transformer = DivergenceNeighborsTransformer(n_neighbors=3).fit(rows)
    kept = []
    for _ in range(3):
        transformer.transform(rows[:5])
        kept.append(len(transformer._rows._kept))
    assert kept[0] == kept[-1]


def test_infinite_divergences_come_last():
    rows = [[1, 1, 0], [1, 0, 1], [1, 2, 0], [0, 1, 1]]
    values, indices = nearest_divergences(rows, n_neighbors=3, metric="kl")
    assert indices.tolist() == [[2, 1, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert np.isinf(values).tolist() == [[False, True, True], [True] * 3, [False, True, True], [True] * 3]


def test_all_rows_may_be_equal():
    values, indices = nearest_divergences(np.ones((6, 3)), n_neighbors=5)
    assert not values.any()
    assert indices.tolist() == [[j for j in range(6) if j != i] for i in range(6)]


def test_a_divergence_of_ones_own():
    squared = Divergence(name="squared", term=lambda p, q: (p - q) ** 2, symmetric=True)
    rows = COLLECTIONS["dense"][:200]
    assert_nearest(nearest_divergences(rows, n_neighbors=3, metric=squared), matrix_of(rows, metric=squared))


@pytest.mark.parametrize("step", [1e-3, 1e-5, 1e-7])
def test_near_duplicates_around_one_row_are_told_apart(step):
    rng = np.random.default_rng(0)
    rows = random_distributions(1, 30) * (1 + step * rng.standard_normal((600, 30)))
    assert_nearest(nearest_divergences(rows, n_neighbors=5), matrix_of(rows), rtol=1e-8, atol=1e-12 * step)


def test_entries_of_all_sizes():
    rows = np.random.default_rng(0).dirichlet(np.full(30, 0.02), 500) + 1e-300
    for metric in ("js_distance", "kl", "jeffreys", "hellinger"):
        assert_nearest(nearest_divergences(rows, n_neighbors=5, metric=metric), matrix_of(rows, metric=metric))


@pytest.mark.parametrize("step", [1e-2, 1e-4])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("metric", ["kl", "jeffreys"])
def test_near_rows_in_single_precision_whose_sums_are_not_quite_one(metric, reverse, step):
    rng = np.random.default_rng(0)
    rows = (rng.dirichlet(np.ones(30)) * (1 + step * rng.standard_normal((600, 30)))).astype(np.float32)
    values, _ = nearest_divergences(rows, n_neighbors=1, metric=metric, reverse=reverse)
    lowest = np.nanmin(matrix_of(rows, metric=metric, reverse=reverse), axis=1)
    assert_allclose(values[:, 0], lowest, rtol=1e-2)


# --- What makes it fast ---


@pytest.mark.parametrize("metric", ["js_distance", "js_divergence", "hellinger", "kl", "jeffreys"])
def test_a_screen_leaves_few_rows_to_be_compared(metric, monkeypatch):
    compared = []
    values = search_module.of_candidates
    monkeypatch.setattr(search_module, "of_candidates", lambda *args: compared.append(len(args[3])) or values(*args))
    nearest_divergences(COLLECTIONS["dense"], n_neighbors=5, metric=metric)
    assert 5 * N <= sum(compared) < 40 * N


def test_lists_of_candidates_are_short_where_all_divergences_are_one_product(monkeypatch):
    """An exact divergence takes as long as some two hundred in a product."""
    compared = []
    values = search_module.of_candidates
    monkeypatch.setattr(search_module, "of_candidates", lambda *args: compared.append(len(args[3])) or values(*args))
    rows = near_duplicates(1000, 20, step=1e-5)
    assert_nearest(nearest_divergences(rows, n_neighbors=3, metric="kl"), matrix_of(rows, metric="kl"), rtol=1e-5)
    assert sum(compared) < 20 * 1000


def test_a_screen_in_double_precision_is_made_where_rounding_is_what_is_uncertain(monkeypatch):
    made = []
    in_double = SpectralScreen.in_double
    monkeypatch.setattr(SpectralScreen, "in_double", lambda *args: made.append(args) or in_double(*args))
    monkeypatch.setattr(search_module, "_LIST", 64)
    equidistant = np.eye(300)
    assert_nearest(nearest_divergences(equidistant, n_neighbors=3), matrix_of(equidistant))
    assert not made
    nearest_divergences(near_duplicates(600, 20, step=1e-6), n_neighbors=3)
    assert made


def test_sums_of_many_bins_are_added_in_short_runs(monkeypatch):
    """So the error bound of the sums stays low, and few pairs have to be summed again, term by term."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(60_000))
    P, Q = (as_distributions(rows[np.newaxis]) for rows in (p, p * (1 + 0.09 * rng.choice([-1, 1], len(p)))))
    js, place, kernel = divergences()["js_divergence"], np.zeros(1, dtype=np.intp), load(chosen())
    exact = of_pairs(js, P, Q, place, place, kernel, small=True)
    monkeypatch.setattr("skdiv._compute.blocks.pairs.of_pairs", None)
    assert_allclose(of_candidates(js, P, Q, place, place, kernel), exact, rtol=1e-9)


def test_neighbours_among_equal_rows_are_listed_once_for_each_distinct_row(monkeypatch):
    listed = []
    expanded = EqualRows._few_expanded
    monkeypatch.setattr(EqualRows, "_few_expanded", lambda *args: listed.append(len(args[2])) or expanded(*args))
    rows = np.eye(8)[np.random.default_rng(0).integers(0, 8, 400)]
    found = [nearest_divergences(rows, n_neighbors=70), nearest_divergences(rows, rows[:200], n_neighbors=70)]
    assert sum(listed) == 16
    for (values, indices), other in zip(found, (None, rows[:200]), strict=True):
        D = matrix_of(rows, other)
        order = np.argsort(D, axis=1, kind="stable")[:, :70]  # NaN, a row with itself, comes last.
        assert_array_equal(indices, order)
        assert_array_equal(values, np.take_along_axis(D, order, axis=1))


def test_equal_rows_are_compared_once(monkeypatch):
    compared = []
    values = search_module.of_candidates
    monkeypatch.setattr(search_module, "of_candidates", lambda *args: compared.append(len(args[3])) or values(*args))
    nearest_divergences(COLLECTIONS["equal"], n_neighbors=5)
    assert sum(compared) <= 40 * 39


@pytest.mark.sampled
@pytest.mark.parametrize("metric", ["js_distance", "hellinger", "kl", "jeffreys"])
@pytest.mark.parametrize("reverse", [False, True])
def test_bounds_of_a_screen_hold(metric, reverse):
    """The sums in single precision are within their margins and the distortion of the sums in double precision."""
    rng = np.random.default_rng(0)
    regimes = [
        random_distributions(60, 500),
        np.exp(rng.uniform(-40, 0, (60, 500))),
        1 + 1e-4 * rng.random((60, 500)),
        np.where(rng.random((60, 500)) < 0.01, 1.0, 1e-9),
        np.geomspace(1, 1e-300, 500) * (1 + 1e-7 * rng.random((60, 500))),
    ]
    for rows in regimes:
        P = as_distributions(rows)
        search = Search.of(Measure(resolve(metric)), P, P, reverse=reverse)
        D = pairwise_divergences(rows, metric=metric)
        for screen in (search.screen, search.screen.in_double(P)):
            left = screen.of_rows(P)
            scores = search._scores(left, screen, np.arange(60), slice(0, 60)).astype(float)
            exact = screen.sums(D.T if reverse and not search.measure.symmetric else D)
            error = np.abs(left.terms[:, np.newaxis] + scores - exact) - screen.distortion * exact
            assert (error <= left.margins[:, np.newaxis] + 1e-9 * exact).all()


# --- Within a radius ---


@pytest.mark.sampled
@pytest.mark.parametrize(("record", "reverse"), DIRECTED)
def test_pairs_within_a_radius_are_those_of_the_matrix(record, rows, reverse):
    D = matrix_of(rows, metric=record, reverse=reverse)
    finite = np.append(D[np.isfinite(D)], 1.0)  # Those of sparse rows may all be infinite.
    radius = float(np.quantile(finite, 0.05)) or 1e-6
    graph = divergences_within(rows, metric=record, radius=radius, reverse=reverse)
    assert graph.shape == D.shape
    assert graph.has_sorted_indices
    i, j = graph.tocoo().coords
    assert_allclose(graph.data, D[i, j], rtol=2e-9, atol=1e-15)
    inside = np.zeros(D.shape, dtype=bool)
    inside[i, j] = True
    doubtful, expected = np.abs(D - radius) <= 2e-9 * radius, radius >= D
    assert_array_equal(inside | doubtful, expected | doubtful)


@pytest.mark.parametrize("base", [2, 10])  # A unit that is smaller than the nat, and one that is larger.
def test_a_radius_is_in_the_units_of_the_base(base):
    rows = COLLECTIONS["dense"][:100]
    D = pairwise_divergences(rows, rows[:50], metric="js_divergence", base=base)
    radius = float(np.quantile(D, 0.05))
    graph = divergences_within(rows, rows[:50], metric="js_divergence", base=base, radius=radius)
    assert_array_equal(graph.toarray() > 0, (radius >= D) & (D > 0))
    assert graph.nnz == (radius >= D).sum()  # those of a row with itself are stored as zeros


def test_a_radius_of_zero_finds_equal_rows():
    rows = COLLECTIONS["equal"][:50]
    equal = (rows[:, np.newaxis] == rows).all(axis=-1)
    np.fill_diagonal(equal, False)
    graph = divergences_within(rows, radius=0)
    assert_array_equal(np.argwhere(equal), np.transpose(graph.tocoo().coords))


# --- The same for all workers ---


@pytest.mark.sampled
@pytest.mark.parametrize("metric", ["js_distance", "kl", "total_variation"])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_bits_do_not_depend_on_workers(metric, backend, monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    rows = COLLECTIONS["zeros" if metric == "js_distance" else "dense"]
    one = nearest_divergences(rows, n_neighbors=4, metric=metric), divergences_within(rows, metric=metric, radius=0.3)
    with parallel_config(backend=backend, n_jobs=2):
        two = (
            nearest_divergences(rows, n_neighbors=4, metric=metric),
            divergences_within(rows, metric=metric, radius=0.3),
        )
    assert_array_equal(one[0][0], two[0][0])
    assert_array_equal(one[0][1], two[0][1])
    assert (one[1] != two[1]).nnz == 0


def test_input_is_not_modified():
    rows = random_distributions(50, 5)
    rows.flags.writeable = False
    nearest_divergences(rows)
    divergences_within(rows, radius=0.2)
    assert_array_equal(rows, random_distributions(50, 5))


# --- Refusals ---


def test_more_neighbours_than_rows_are_refused():
    with pytest.raises(ValueError, match=r"n_neighbors = 3, but X has 2 rows that may be neighbours"):
        nearest_divergences(np.eye(3), n_neighbors=3)
    with pytest.raises(ValueError, match=r"n_neighbors = 4, but Y has 3 rows"):
        nearest_divergences(np.eye(3), np.eye(3), n_neighbors=4)
    with pytest.raises(ValueError, match="n_neighbors == 0, must be >= 1"):
        nearest_divergences(np.eye(3), n_neighbors=0)


@pytest.mark.parametrize("radius", [-1, np.nan, "1"])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises((ValueError, TypeError), match="radius"):
        divergences_within(np.eye(3), radius=radius)


def test_rows_that_are_no_distributions_are_refused():
    with pytest.raises(ValueError, match=r"X\[1\] sums to 0"):
        nearest_divergences([[1, 1], [0, 0]], n_neighbors=1)
    with pytest.raises(ValueError, match=r"Y\[0, 1\] = -1"):
        divergences_within([[1, 1]], [[1, -1]], radius=1)


# --- The transformer ---

COUNTS, LABELS = planted(30)


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_the_graph_is_that_of_scikit_learn(mode):
    D = pairwise_divergences(COUNTS)
    ours = DivergenceNeighborsTransformer(mode, n_neighbors=4)
    theirs = KNeighborsTransformer(mode=mode, n_neighbors=4, metric="precomputed")
    assert_allclose(ours.fit_transform(COUNTS).toarray(), theirs.fit_transform(D).toarray(), rtol=1e-8, atol=1e-15)
    new = planted(5, seed=1)[0]
    graph = theirs.transform(pairwise_divergences(new, COUNTS)).toarray()
    assert_allclose(ours.transform(new).toarray(), graph, rtol=1e-8)


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_the_graph_of_a_radius_is_that_of_scikit_learn(mode):
    D = pairwise_divergences(COUNTS)
    ours = DivergenceNeighborsTransformer(mode, radius=0.15)
    theirs = RadiusNeighborsTransformer(mode=mode, radius=0.15, metric="precomputed")
    assert_allclose(ours.fit_transform(COUNTS).toarray(), theirs.fit_transform(D).toarray(), rtol=1e-8, atol=1e-15)


def test_a_symmetric_graph_has_the_edges_of_both_ends():
    graph = DivergenceNeighborsTransformer(n_neighbors=3).fit_transform(COUNTS)
    both = DivergenceNeighborsTransformer(n_neighbors=3, symmetric=True).fit_transform(COUNTS)
    assert_array_equal(both.toarray(), np.maximum(graph.toarray(), graph.toarray().T))
    assert (both != both.T).nnz == 0
    assert both.nnz == ((graph + graph.T) > 0).sum() + len(COUNTS)  # the zeros of rows with themselves are stored


@pytest.mark.parametrize("metric", ["js_distance", "hellinger", "total_variation"])
def test_a_connected_graph_has_the_minimum_spanning_tree(metric):
    rows = np.vstack([COUNTS, COUNTS[:3]])  # equal rows too
    graph = DivergenceNeighborsTransformer(n_neighbors=2, metric=metric, connected=True).fit_transform(rows)
    assert connected_components(graph)[0] == 1
    assert connected_components(DivergenceNeighborsTransformer(n_neighbors=2).fit_transform(rows))[0] > 1
    heights = hierarchy.linkage(condensed_divergences(rows, metric), "single")[:, 2]
    found = minimum_spanning_tree(graph).data
    assert_allclose(np.sort(found), heights, rtol=1e-8, atol=1e-300)


def test_a_symmetric_graph_stays_so_when_it_is_connected():
    graph = DivergenceNeighborsTransformer(n_neighbors=2, symmetric=True, connected=True).fit_transform(COUNTS)
    assert (graph != graph.T).nnz == 0


def test_each_row_is_sorted_by_distance():
    for radius in (None, 0.2):
        graph = DivergenceNeighborsTransformer(n_neighbors=5, radius=radius).fit_transform(COUNTS)
        assert all((np.diff(graph.data[a:b]) >= 0).all() for a, b in zip(graph.indptr, graph.indptr[1:], strict=False))


def test_a_symmetric_graph_needs_a_symmetric_number():
    with pytest.raises(ValueError, match=r"symmetric=True needs one number.*'kl'.*symmetrize='mean'"):
        DivergenceNeighborsTransformer(metric="kl", symmetric=True).fit(COUNTS + 1)
    for metric in ("hellinger", "jeffreys", "bhattacharyya"):
        graph = DivergenceNeighborsTransformer(metric=metric, symmetric=True).fit_transform(COUNTS + 1)
        assert (graph != graph.T).nnz == 0
    graph = DivergenceNeighborsTransformer(metric="kl", symmetric=True, symmetrize="mean").fit_transform(COUNTS + 1)
    assert (graph != graph.T).nnz == 0


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="n_neighbors = 5, but the fitted X has 2 rows"):
        DivergenceNeighborsTransformer().fit_transform(COUNTS[:3])


def test_records_are_accepted():
    for record in RECORDS:
        assert DivergenceNeighborsTransformer(metric=record, pseudocount=1).fit_transform(COUNTS).nnz == 6 * len(COUNTS)
