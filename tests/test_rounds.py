"""Trees of clusters in rounds, without the matrix: those of SciPy on the matrix, and no merge on a doubtful bound."""

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster import hierarchy
from sklearn.metrics import adjusted_rand_score

from skdiv import DivergenceClustering, condensed_divergences, divergences
from skdiv._compute.centers import AverageOfSquares, CenterScreen, Clusters, Ward, lower_bounds, squares_of_centers
from skdiv._compute.measure import Measure
from skdiv._divergences.spectra import FINE_JENSEN_SHANNON, JENSEN_SHANNON
from skdiv._input.distributions import as_distributions
from skdiv._trees import rounds

LINKAGES = [("js_distance", "ward"), ("hellinger", "ward"), ("js_divergence", "average")]


@pytest.fixture(autouse=True)
def _in_rounds_from_few_rows_on(monkeypatch):
    monkeypatch.setattr("skdiv._trees.build._MANY_ROWS", 50)
    monkeypatch.setattr(rounds, "_FEW", 20)


def words(n, seed=0):
    """Counts of words by Zipf's law, some hundreds a row, with topics."""
    rng = np.random.default_rng(seed)
    topics = rng.gamma(0.3, size=(8, 60)) / np.arange(1, 61)
    return np.array([rng.multinomial(rng.integers(50, 400), p / p.sum()) for p in topics[rng.integers(0, 8, n)]])


def near_duplicates(n):
    return random_distributions(5, 20)[np.arange(n) % 5] * (1 + 1e-3 * random_distributions(n, 20, seed=1))


REGIMES = {
    "planted": lambda: planted(100, 30, 5)[0] + 0.1 * random_distributions(500, 30),
    "flat": lambda: random_distributions(500, 20),
    "zeros": lambda: random_distributions(400, 20, zeros=0.5),
    "words": lambda: sp.csr_array(words(300) + 0.01 * random_distributions(300, 60, zeros=0.8)),
    "near duplicates": lambda: near_duplicates(300),
    "two bins": lambda: random_distributions(300, 2),
}


def assert_heights_and_partitions_agree(Z, expected, rtol):
    assert_allclose(Z[:, 2], expected[:, 2], rtol=rtol, atol=1e-12)
    for k in (2, 10, 50, 200):
        labels = [hierarchy.fcluster(tree, k, "maxclust") for tree in (Z, expected)]
        assert adjusted_rand_score(*labels) == 1


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("metric", "linkage"), LINKAGES)
def test_the_tree_is_that_of_scipy(metric, linkage, regime):
    X = REGIMES[regime]()
    fitted = DivergenceClustering(3, metric=metric, linkage=linkage).fit(X)
    expected = hierarchy.linkage(condensed_divergences(X, metric=metric), linkage)
    assert_heights_and_partitions_agree(fitted.linkage_matrix_, expected, rtol=1e-7)


@pytest.mark.parametrize(("metric", "linkage"), LINKAGES)
def test_equal_rows_and_weights_count_as_repeated_rows(metric, linkage):
    X, counts = random_distributions(150, 12), np.random.default_rng(0).integers(1, 4, 150)
    repeated = np.repeat(X, counts, axis=0)
    weighted = DivergenceClustering(3, metric=metric, linkage=linkage).fit(X, sample_weight=counts).linkage_matrix_
    equal = DivergenceClustering(3, metric=metric, linkage=linkage).fit(repeated).linkage_matrix_
    expected = hierarchy.linkage(condensed_divergences(repeated, metric=metric), linkage)
    assert_heights_and_partitions_agree(equal, expected, rtol=1e-7)
    assert_allclose(weighted[:, 2], equal[len(repeated) - len(X) :, 2], rtol=1e-9)


def test_single_precision_is_as_exact_as_the_rows():
    X = random_distributions(200, 20).astype(np.float32)
    fitted = DivergenceClustering(3).fit(X)
    expected = hierarchy.ward(condensed_divergences(X.astype(np.float64)))
    assert_heights_and_partitions_agree(fitted.linkage_matrix_, expected, rtol=1e-6)


@pytest.mark.parametrize("base", [2, 10])
@pytest.mark.parametrize(("metric", "linkage"), [("js_distance", "ward"), ("js_divergence", "average")])
def test_heights_are_in_the_units_of_the_base(metric, linkage, base):
    X = random_distributions(100, 10)
    trees = [
        DivergenceClustering(3, metric=metric, linkage=linkage, base=each).fit(X).linkage_matrix_
        for each in (None, base)
    ]
    scale = np.log(base) ** (0.5 if metric == "js_distance" else 1)
    assert_allclose(trees[1][:, 2], trees[0][:, 2] / scale, rtol=1e-12)


def test_the_same_bits_for_any_number_of_workers(monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    monkeypatch.setattr(rounds, "_ROWS", 37)
    X = random_distributions(300, 20)
    one, two = (DivergenceClustering(3, n_jobs=n_jobs).fit(X).linkage_matrix_ for n_jobs in (1, 2))
    assert_array_equal(one, two)


def test_rows_that_are_all_at_one_distance_are_merged_many_in_a_round(monkeypatch):
    X = np.eye(200)
    left = []
    rest = rounds._Rounds.rest
    monkeypatch.setattr(rounds._Rounds, "rest", lambda self, *args: left.append(len(args[1])) or rest(self, *args))
    Z = DivergenceClustering(3).fit(X).linkage_matrix_
    assert_allclose(Z[0, 2], hierarchy.ward(condensed_divergences(X))[0, 2], rtol=1e-9)
    assert left[0] <= 20


def test_what_is_left_when_rounds_stall_is_finished_on_its_matrix(monkeypatch):
    monkeypatch.setattr(rounds, "_MOST_PAIRS", 0)
    monkeypatch.setattr(rounds, "_LONG", 1)
    X = random_distributions(300, 3)
    assert_heights_and_partitions_agree(
        DivergenceClustering(3).fit(X).linkage_matrix_, hierarchy.ward(condensed_divergences(X)), rtol=1e-7
    )


# --- Bounds ---


def clusters_of(X, k, rng):
    """Clusters of rows at random, whose scatters are those of the definition."""
    rows, weights = as_distributions(X), rng.uniform(0.5, 2, len(X))
    clusters = Clusters.of_equal_rows(rows, weights)
    measure = Measure(divergences()["js_distance"])
    while len(clusters) > k:
        A, B = np.array([0]), np.array([int(rng.integers(1, len(clusters)))])
        clusters = clusters.merged(A, B, clusters.squares(measure, 0.5, A, B))
    return clusters, measure


def exact_squares(clusters, D):
    """The squared distances of the centers by the definition, from the squared distances of the rows."""
    shares = np.zeros((len(clusters), len(clusters.rows)))
    of_rows = np.repeat(np.arange(len(clusters)), clusters.sizes)
    shares[of_rows, clusters.order] = clusters.row_weights[clusters.order]
    shares /= shares.sum(axis=1, keepdims=True)
    means = shares @ D @ shares.T
    within = np.diagonal(means) / 2
    return means - within[:, np.newaxis] - within, within


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["flat", "near duplicates", "disjoint"])
def test_the_bounds_of_costs_hold(kind, seed):
    rng = np.random.default_rng(seed)
    X = {
        "flat": random_distributions(60, 10, zeros=0.3, seed=seed),
        "near duplicates": near_duplicates(60) * (1 + 1e-4 * random_distributions(60, 20, seed=seed)),
        "disjoint": np.kron(np.eye(6), random_distributions(10, 4, seed=seed)),
    }[kind]
    clusters, measure = clusters_of(X, 12, rng)
    D = measure.matrix(clusters.rows) ** 2
    squares, scatters = exact_squares(clusters, D)
    assert_allclose(clusters.scatters, scatters, rtol=1e-9, atol=1e-15)
    i, j = np.triu_indices(12, 1)
    assert_allclose(clusters.squares(measure, 0.5, i, j), np.maximum(squares[i, j], 0), rtol=1e-6, atol=1e-12)
    assert_allclose(squares_of_centers(FINE_JENSEN_SHANNON, clusters), np.maximum(squares, 0), rtol=1e-8, atol=1e-10)
    for merging in (Ward(), AverageOfSquares()):
        inverse = 1 / clusters.weights
        costs = merging.costs(squares.copy(), inverse[:, None] + inverse, scatters[:, None] + scatters)
        for spectrum, dtype in (
            (JENSEN_SHANNON[2], np.float32),
            (JENSEN_SHANNON[8], np.float32),
            (JENSEN_SHANNON[4], np.float64),
        ):
            bounded = CenterScreen.of(spectrum, clusters, dtype).bounded(clusters)
            left = bounded._replace(factor=-2 * bounded.factor)
            lower = lower_bounds(merging, left, bounded, np.empty((12, 12), dtype))
            off = ~np.eye(12, dtype=bool)
            assert (lower <= costs * (1 + spectrum.distortion) * (1 + 1e-6) + 1e-30)[off].all()
            errors = 2 * (bounded.errors[:, None] + bounded.errors)
            upper = lower + merging.costs(errors.astype(float), inverse[:, None] + inverse, 0 * errors)
            assert (upper * (1 + 1e-6) >= costs * (1 - spectrum.distortion))[off].all()
