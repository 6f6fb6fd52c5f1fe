"""Linkage by information, against its definition evaluated for every pair at every merge."""

import operator
import tracemalloc
from itertools import combinations

import mpmath
import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from mpmath import mp, mpf
from scipy.special import rel_entr, xlogy
from sklearn.metrics import adjusted_rand_score

from skdiv import DivergenceClustering, pairwise_divergences
from skdiv._compute.blocks.weighted import WeightedRows
from skdiv._compute.kernels import chosen, load
from skdiv._input.distributions import Distributions
from skdiv._trees import information

pytestmark = pytest.mark.usefixtures("kernel")


def definition(a, b, v, w):
    c = (a + b) / (v + w)
    return v * rel_entr(a / v, c).sum() + w * rel_entr(b / w, c).sum()


def by_brute_force(P, masses, cost=definition):
    """Merged nodes and costs; every pair is computed anew before each merge."""
    clusters = {i: (mass * row, mass) for i, (row, mass) in enumerate(zip(P, masses / masses.sum(), strict=True))}
    merges = []
    while len(clusters) > 1:
        costs = {
            (i, j): cost(clusters[i][0], clusters[j][0], clusters[i][1], clusters[j][1])
            for i, j in combinations(clusters, 2)
        }
        i, j = min(costs, key=costs.get)
        merges.append((i, j, costs[i, j]))
        (a, v), (b, w) = clusters.pop(i), clusters.pop(j)
        clusters[len(P) + len(merges) - 1] = a + b, v + w
    return np.array(merges)


def exactly(X, masses):
    """By brute force in 300 digits: where masses differ by 200 orders, terms of a cost cancel in as many."""

    def cost(a, b, v, w):
        c = (a + b) / (v + w)
        return v * oracle.kl(a / v, c) + w * oracle.kl(b / w, c)

    with mp.workdps(300):
        weights = np.vectorize(mpf, otypes=[object])(X)
        rows = weights / weights.sum(axis=1, keepdims=True)
        return by_brute_force(rows, np.vectorize(mpf, otypes=[object])(masses), cost)


def mutual_information(P, masses):
    shares = masses / masses.sum()
    mean = shares @ P
    return float(shares @ rel_entr(P, mean).sum(axis=1))


def fitted(X, masses=None, **parameters):
    return DivergenceClustering(1, linkage="information", **parameters).fit(X, sample_weight=masses)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("weighted", [False, True])
def test_brute_force_on_many_small_collections(container, weighted, monkeypatch):
    monkeypatch.setattr(information, "_CROWDED", 0)  # sparse rows stay sparse however many entries they have
    rng = np.random.default_rng(0)
    for seed in range(150):
        n, n_bins = rng.integers(2, 12), rng.integers(2, 9)
        # Without ties, between which the order is free: equal rows, and equal masses that share no bin.
        P = np.unique(random_distributions(n, n_bins, zeros=0.4 * weighted * (seed % 2), seed=seed), axis=0)
        masses = rng.uniform(0.01, 1, len(P)) if weighted else np.ones(len(P))
        if len(P) == 1:
            continue
        clustering = fitted(container(P), masses if weighted else None)
        expected = by_brute_force(P, masses)
        np.testing.assert_array_equal(clustering.children_, expected[:, :2])
        np.testing.assert_allclose(clustering.distances_, expected[:, 2], rtol=1e-8, atol=1e-15)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("metric", "base"), [("kl", None), ("js_divergence", 2), ("js_distance", 2)])
def test_all_costs_together_are_the_mutual_information(metric, base):
    P, masses = random_distributions(700, 20, zeros=0.3), np.random.default_rng(1).uniform(0.1, 9, 700)
    clustering = fitted(P, masses, metric=metric, base=base)
    unit = np.log(base) if base else 1
    np.testing.assert_allclose(clustering.distances_.sum() * unit, mutual_information(P, masses), rtol=1e-9)
    counts = np.round(1000 * P) + 1
    joint = counts / counts.sum()
    expected = xlogy(joint, joint / np.outer(joint.sum(axis=1), joint.sum(axis=0))).sum()
    np.testing.assert_allclose(fitted(counts, counts.sum(axis=1)).distances_.sum(), expected, rtol=1e-9)


def test_merges_can_invert_and_are_cut_in_their_order():
    X = [[0.42, 0, 0.58], [0, 5 / 9, 4 / 9], [0.61, 0.39, 0]]
    clustering = fitted(X)
    np.testing.assert_allclose(3 * clustering.distances_, [0.6852, 0.5724], atol=5e-5)
    assert clustering.set_params(n_clusters=2).fit(X).labels_.tolist() == [0, 0, 1]
    # Merging stops before the first merge that costs as much, though a later one would cost less.
    by_cost = clustering.set_params(n_clusters=None, distance_threshold=0.2).fit(X)
    assert by_cost.n_clusters_ == 3
    assert by_cost.set_params(distance_threshold=0.25).fit(X).n_clusters_ == 1


def test_a_row_may_be_two_with_half_of_its_mass():
    P, masses = random_distributions(40, 8, zeros=0.2), np.random.default_rng(2).uniform(0.1, 1, 40)
    whole = fitted(P, masses)
    halved = fitted(np.vstack([P, P[:15]]), np.append(masses * np.where(np.arange(40) < 15, 0.5, 1), masses[:15] / 2))
    np.testing.assert_array_equal(halved.distances_[:15], 0)
    np.testing.assert_allclose(halved.distances_[15:], whole.distances_, rtol=1e-9)


@pytest.mark.parametrize("linkage", ["average", "ward", "information"])
def test_whole_masses_are_so_many_equal_rows(linkage):
    P, times = random_distributions(30, 8), np.random.default_rng(3).integers(1, 5, 30)
    clustering = DivergenceClustering(4, linkage=linkage)
    of_masses = clustering.fit(P, sample_weight=times)
    labels, heights, centres = of_masses.labels_, of_masses.distances_, of_masses.cluster_centers_
    repeated = clustering.fit(np.repeat(P, times, axis=0))
    assert adjusted_rand_score(np.repeat(labels, times), repeated.labels_) == 1
    np.testing.assert_allclose(heights, repeated.distances_[-29:], rtol=1e-7)
    order, other = (np.lexsort(rows.round(9).T) for rows in (centres, repeated.cluster_centers_))
    np.testing.assert_allclose(centres[order], repeated.cluster_centers_[other], rtol=1e-9)


def test_near_duplicates_cost_what_exact_arithmetic_says():
    """Costs of 1e-20 nats are as accurate, relative to themselves, as large ones."""
    base = random_distributions(1, 50)[0]
    tilted = base * (1 + 1e-9 * np.cos(np.arange(50)))
    tilted /= tilted.sum()
    (cost_of_merge,) = fitted(np.array([base, tilted]), [1, 3]).distances_
    # Its leading term: v w / (v + w)² · ½ sum (p − q)² / p, whose next is of relative order 1e-9.
    expected = 3 / 16 * ((base - tilted) ** 2 / base).sum() / 2
    np.testing.assert_allclose(cost_of_merge, expected, rtol=1e-6)


def test_near_duplicates_merge_in_the_right_order():
    """At 1e-17 nats, where sums of logarithms hold nothing but rounding: the leading term of the cost orders them."""
    rng = np.random.default_rng(0)
    base = random_distributions(1, 30)[0]
    rows = base * (1 + 1e-9 * rng.normal(size=(10, 30)))
    rows /= rows.sum(axis=1, keepdims=True)

    def leading_term(a, b, v, w):
        return v * w / (v + w) * ((a / v - b / w) ** 2 / base).sum() / 2

    expected = by_brute_force(rows, np.ones(10), leading_term)
    clustering = fitted(rows)
    np.testing.assert_array_equal(clustering.children_, expected[:, :2])
    np.testing.assert_allclose(clustering.distances_, expected[:, 2], rtol=1e-5)


def test_the_cost_of_a_merge_does_not_depend_on_which_is_first():
    P, Q = random_distributions(5, 8), random_distributions(5, 8, seed=1)
    places = np.arange(5)
    for w in 10.0 ** -np.arange(0, 300, 20.0):
        v, w = np.ones(5), np.full(5, w)
        left, right = WeightedRows(Distributions(P), v), WeightedRows(Distributions(w[:, np.newaxis] * Q), w)
        forth = information.merge_costs(left, right, places, places, load(chosen()))
        back = information.merge_costs(right, left, places, places, load(chosen()))
        np.testing.assert_allclose(forth, back, rtol=1e-12)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("n_bins", [10_000, 1_000_000])
def test_the_cost_of_a_merge_over_many_bins(n_bins):
    """The bins of two different ratios, put together, are two; the kernels add all of them one after another."""
    low, high, first = 1.6268117820180374, 1.8116411659284173, n_bins // 5
    rows = np.repeat([[low] * 2, [low] * 2, [low, high]], [first, n_bins - first], axis=1)
    few = np.array([[low] * 2, [low] * 2, [low, high]]) * [first, n_bins - first]
    weights = [1, 1, 2]
    expected = DivergenceClustering(1, metric="kl", linkage="information").fit(few, sample_weight=weights)
    clustering = DivergenceClustering(1, metric="kl", linkage="information").fit(rows, sample_weight=weights)
    np.testing.assert_allclose(clustering.distances_, expected.distances_, rtol=1e-9)


@pytest.mark.exhaustive
def test_equal_sparse_rows_are_never_made_dense():
    """Costs that are summed again take what the two rows store, not all bins."""
    rng = np.random.default_rng(0)
    X = sp.csr_array((np.ones(20), (np.zeros(20, dtype=int), rng.integers(0, 10**6, 20))), (1, 10**6))
    near = sp.vstack([X * (1 + 1e-7 * k) for k in range(3)] + [X] * 40, format="csr")
    near.data *= 1 + 1e-9 * rng.random(near.nnz)
    tracemalloc.start()
    clustering = fitted(near)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 60 * 2**20 < 8 * 10**6 * 43 / 4
    assert (np.diff(clustering.distances_) > -1e-15).all()


def test_equal_rows_lose_nothing():
    clustering = fitted(np.tile(random_distributions(1, 9), (80, 1)))
    np.testing.assert_array_equal(clustering.distances_, 0)
    n_clusters, retained = clustering.information_curve_
    assert n_clusters.tolist() == list(range(1, 81))
    np.testing.assert_array_equal(retained, 1)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("span", [0, 6, 60])
def test_many_rows_in_proportion_lose_nothing_whatever_their_masses(span):
    """Their sums are rounded at each of a thousand merges, and always up or always down where masses are equal."""
    rng = np.random.default_rng(0)
    times = rng.uniform(0.1, 9, (1000, 1)) if span else np.ones((1000, 1))
    clustering = fitted(times * random_distributions(1, 9), 10 ** rng.uniform(-span / 2, span / 2, 1000))
    np.testing.assert_array_equal(clustering.distances_, 0)


def test_the_curve_of_retained_information_is_that_of_the_clusters():
    """What k clusters retain is the mutual information between clusters and bins."""
    counts, _ = planted(20)
    clustering = fitted(counts, counts.sum(axis=1))
    n_clusters, retained = clustering.information_curve_
    total = mutual_information(counts / counts.sum(axis=1, keepdims=True), counts.sum(axis=1))
    for k in (1, 2, 3, 17, 60):
        labels = clustering.set_params(n_clusters=k).fit(counts, sample_weight=counts.sum(axis=1)).labels_
        merged = np.array([counts[labels == label].sum(axis=0) for label in range(k)])
        masses = merged.sum(axis=1)
        expected = mutual_information(merged / masses[:, np.newaxis], masses) / total
        np.testing.assert_allclose(retained[n_clusters == k], expected, rtol=1e-9, atol=1e-12)
    assert np.diff(retained).min() > 0


@pytest.mark.parametrize("density", [1.0, 0.02])
def test_many_rows_give_the_same_bits_for_any_number_of_workers(density, monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    monkeypatch.setattr("skdiv._trees.information._TILE", 96)
    rng = np.random.default_rng(4)
    X = rng.gamma(1, size=(400, 60)) * (rng.random((400, 60)) < density) + 1e-3 * np.eye(400, 60)
    X[:, 0] += 0.1
    rows = sp.csr_array(X) if density < 1 else X
    one, two = (fitted(rows, n_jobs=n_jobs) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.linkage_matrix_, two.linkage_matrix_)
    if density < 1:
        np.testing.assert_allclose(one.distances_.sum(), fitted(X).distances_.sum(), rtol=1e-9)
        np.testing.assert_allclose(one.distances_[:300], fitted(X).distances_[:300], rtol=1e-9)


def test_sparse_rows_that_are_hardly_sparse_are_taken_as_dense():
    """More than a quarter of the entries are not zero, so the bits are those of dense rows; 1024 divides exactly."""
    rng = np.random.default_rng(0)
    some = np.array([rng.permutation(np.arange(60) < 20) for _ in range(50)])
    X = np.array([rng.multinomial(1024, bins / 20) for bins in some])
    assert 4 * np.count_nonzero(X) > X.size
    np.testing.assert_array_equal(fitted(sp.csr_array(X)).linkage_matrix_, fitted(X).linkage_matrix_)


def test_information_finds_what_is_planted_and_predicts_it():
    counts, labels = planted(30)
    for assign in ("member", "center"):
        clustering = DivergenceClustering(3, metric="kl", linkage="information", assign=assign, pseudocount=0.5)
        clustering.fit(counts, sample_weight=counts.sum(axis=1))
        assert adjusted_rand_score(labels, clustering.labels_) == 1
        new, truth = planted(10)
        assert adjusted_rand_score(truth, clustering.predict(new)) == 1
    np.testing.assert_allclose(
        clustering.transform(counts), pairwise_divergences(counts + 0.5, clustering.cluster_centers_, "kl"), rtol=1e-9
    )


# --- Refinement ---


def information_kept(P, masses, labels):
    """The mutual information between clusters and bins."""
    sums = np.array([masses[labels == label] @ P[labels == label] for label in np.unique(labels)])
    return mutual_information(sums / sums.sum(axis=1, keepdims=True), sums.sum(axis=1))


@pytest.mark.sampled(4)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("pseudocount", [0.0, 0.01])
def test_each_pass_assigns_to_the_nearest_center_and_takes_the_means(container, pseudocount):
    X, masses = random_distributions(300, 12, zeros=0.3), np.random.default_rng(0).uniform(0.1, 3, 300)
    P = (X + pseudocount) / (X + pseudocount).sum(axis=1, keepdims=True)
    clustering = DivergenceClustering(7, linkage="information", assign="center", pseudocount=pseudocount)
    expected = clustering.fit(container(X), sample_weight=masses).labels_
    for refine in range(1, 5):
        centers = [masses[expected == label] @ P[expected == label] for label in range(7)]
        expected = np.array([rel_entr(p, [c / c.sum() for c in centers]).sum(axis=1).argmin() for p in P])
        labels = clustering.set_params(refine=refine).fit(container(X), sample_weight=masses).labels_
        np.testing.assert_array_equal(labels, expected)


@pytest.mark.exhaustive
def test_passes_never_lose_information_and_leave_the_tree():
    X, masses = random_distributions(800, 10), np.random.default_rng(0).uniform(0.1, 3, 800)
    clustering = DivergenceClustering(9, linkage="information")
    cut = clustering.fit(X, sample_weight=masses)
    tree, retained = cut.linkage_matrix_, cut.information_curve_[1][8]
    kept = [information_kept(X, masses, cut.labels_)]
    np.testing.assert_allclose(kept[0] / mutual_information(X, masses), retained, rtol=1e-9)
    for refine in (1, 2, 3, 4, 5, 100):
        refined = clustering.set_params(refine=refine).fit(X, sample_weight=masses)
        np.testing.assert_array_equal(refined.linkage_matrix_, tree)
        kept.append(information_kept(X, masses, refined.labels_))
    assert np.diff(kept).min() >= -1e-15
    assert kept[5] > 1.1 * kept[0]


@pytest.mark.parametrize("assign", ["member", "center"])
def test_prediction_knows_the_refined_clusters(assign):
    X = random_distributions(400, 10)
    clustering = DivergenceClustering(6, metric="kl", linkage="information", refine=200, assign=assign).fit(X)
    unrefined = DivergenceClustering(6, metric="kl", linkage="information").fit(X)
    assert adjusted_rand_score(clustering.labels_, unrefined.labels_) < 0.9
    np.testing.assert_array_equal(clustering.predict(X), clustering.labels_)
    means = [X[clustering.labels_ == label].mean(axis=0) for label in range(6)]
    np.testing.assert_allclose(clustering.cluster_centers_, means, rtol=1e-12)


@pytest.mark.exhaustive
def test_refined_labels_are_the_same_bits_for_any_number_of_workers():
    X = random_distributions(1500, 30)
    one, two = (
        DivergenceClustering(9, linkage="information", refine=3, n_jobs=n_jobs).fit(X).cluster_centers_
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("linkage", ["auto", "ward", "average"])
def test_refinement_is_for_linkage_by_information(linkage):
    with pytest.raises(ValueError, match="refine = 5 lowers the information .*it must be 0"):
        DivergenceClustering(linkage=linkage, refine=5).fit(random_distributions(4, 3))


@pytest.mark.parametrize("metric", ["hellinger", "jeffreys", "chi2"])
def test_other_divergences_are_no_information(metric):
    with pytest.raises(ValueError, match=f"linkage='information' .* metric '{metric}'.*Use metric 'kl'"):
        fitted(random_distributions(4, 3), metric=metric)


def test_a_matrix_of_distances_tells_nothing_about_the_bins():
    with pytest.raises(ValueError, match="linkage='information' needs the distributions"):
        fitted(np.zeros((3, 3)), metric="precomputed")


def test_masses_of_any_size():
    P = random_distributions(9, 5)
    masses = np.array([1e12, 1e-100, 1e-90, 1e-12, 1, 1, 2, 77, 1e-30])
    clustering = fitted(P, masses)
    with mp.workdps(oracle.DIGITS):
        shares = [mpf(mass) / mpmath.fsum(masses) for mass in masses]
        rows = [[mpf(entry) / mpmath.fsum(row) for entry in row] for row in P]
        mean = [mpmath.fsum(map(operator.mul, shares, column)) for column in zip(*rows, strict=True)]
        expected = mpmath.fsum(share * oracle.kl(row, mean) for share, row in zip(shares, rows, strict=True))
    assert oracle.relative_error(clustering.distances_.sum(), expected) < 1e-9


@pytest.mark.parametrize("mass", [1e-3, 1e-10, 1e-33, 1e-100])
def test_disjoint_rows_of_unlike_masses_lose_all_that_tells_them_apart(mass):
    (distance,) = fitted([[1, 0], [0, 1]], [1, mass]).distances_
    shares = 1 / (1 + mass), mass / (1 + mass)
    np.testing.assert_allclose(distance, shares[0] * np.log1p(mass) - shares[1] * np.log(shares[1]), rtol=1e-14)


@pytest.mark.parametrize("mass", [1.0, 1e-3, 1e-10, 1e-33, 1e-100])
def test_near_duplicates_of_unlike_masses_lose_in_proportion_to_the_smaller(mass):
    base = random_distributions(1, 50)[0]
    tilted = base * (1 + 1e-9 * np.cos(np.arange(50)))
    tilted /= tilted.sum()
    (distance,) = fitted(np.array([base, tilted]), [1, mass]).distances_
    leading_term = mass / (1 + mass) ** 2 * ((base - tilted) ** 2 / base).sum() / 2
    np.testing.assert_allclose(distance, leading_term, rtol=1e-6)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("orders", [3, 10, 33, 100, 199])
def test_masses_of_many_orders_merge_as_in_exact_arithmetic(container, orders, monkeypatch):
    monkeypatch.setattr(information, "_CROWDED", 0)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = random_distributions(6, 5, zeros=0.4 * (seed % 2), seed=seed)
        if seed >= 4:  # one row and others close to it
            X = X[0] * (1 + 10 ** rng.uniform(-5, -1, (6, 1)) * rng.normal(size=(6, 5)))
        masses = 10 ** (orders * rng.uniform(-0.5, 0.5, 6))
        clustering, expected = fitted(container(X), masses), exactly(X, masses)
        np.testing.assert_array_equal(clustering.children_, expected[:, :2])
        errors = [oracle.relative_error(*both) for both in zip(clustering.distances_, expected[:, 2], strict=True)]
        assert max(errors) < 1e-9


@pytest.mark.sampled(2)
@pytest.mark.parametrize("small", [1.0, 1e-95])
def test_costs_of_tiny_masses_are_as_accurate_as_others(small):
    """Their logarithms are large, and so is the rounding of sums of them."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        base, other = random_distributions(2, 30, seed=seed)
        near = base * np.exp(10 ** rng.uniform(-2.6, -0.4) * rng.normal(size=30))
        masses = [small, small, 1 / small]
        distances = fitted([base, near, other], masses).distances_
        _, _, expected = exactly([base, near, other], masses)[0]
        assert oracle.relative_error(distances[0], expected) < 1e-10


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_rows_with_mass_in_one_bin_have_nothing_to_lose(container):
    np.testing.assert_array_equal(
        fitted(container([[3.0, 0], [1e300, 0], [1e-300, 0]]), [1, 1e-100, 1e100]).distances_, 0
    )


@pytest.mark.exhaustive
def test_memory_is_that_of_the_rows():
    """No matrix of all pairs: 3000 rows would take 34 MiB in condensed form."""
    X = random_distributions(3000, 8)
    fitted(X[:600])
    tracemalloc.start()
    fitted(X)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 24 * 2**20
