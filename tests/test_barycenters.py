"""Barycenters against a general-purpose optimiser, and what they have to do with clusters."""

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from scipy.optimize import minimize
from scipy.special import rel_entr, softmax
from scipy.stats import gmean
from sklearn.exceptions import ConvergenceWarning

from skdiv import DivergenceClustering, barycenter, barycenters, divergences

OBJECTIVES = {
    "mean": lambda p, c: rel_entr(p, c).sum(),
    "geometric": lambda p, c: rel_entr(c, p).sum(),
    "js": lambda p, c: (rel_entr(p, (p + c) / 2).sum() + rel_entr(c, (p + c) / 2).sum()) / 2,
}


def optimised(P, weights, kind):
    """The minimum over the simplex by its logarithms."""

    def objective(x):
        c = softmax(x)
        return sum(w * OBJECTIVES[kind](p, c) for p, w in zip(P, weights, strict=True))

    found = minimize(objective, np.log(P.mean(axis=0)), method="BFGS", options={"gtol": 1e-9})
    return softmax(found.x), found.fun, objective


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_general_purpose_optimiser_finds_the_same(kind, weighted):
    for seed in range(6):
        P = random_distributions(7, 5, seed=seed)
        weights = np.random.default_rng(seed).uniform(0.1, 3, 7) if weighted else np.ones(7)
        expected, lowest, objective = optimised(P, weights, kind)
        found = barycenter(P, kind, sample_weight=weights if weighted else None)
        np.testing.assert_allclose(found, expected, atol=2e-6)
        assert objective(np.log(found)) <= lowest * (1 + 1e-12)
        np.testing.assert_allclose(found.sum(), 1, rtol=1e-14)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_sparse_rows_have_the_same_center(kind):
    P = random_distributions(20, 40, zeros=0.1)
    P[:, 1:3] = 0
    found = barycenter(sp.csr_array(P), kind)
    np.testing.assert_allclose(found, barycenter(P, kind), rtol=1e-11, atol=1e-16)
    np.testing.assert_array_equal(found[1:3], 0)
    np.testing.assert_allclose(
        barycenter(sp.csr_array(P), kind, pseudocount=0.5), barycenter(P + 0.5, kind), rtol=1e-11
    )


def test_the_closed_forms():
    P = random_distributions(9, 6)
    np.testing.assert_allclose(barycenter(P), P.mean(axis=0), rtol=1e-14)
    geometric = gmean(P)
    np.testing.assert_allclose(barycenter(P, "geometric"), geometric / geometric.sum(), rtol=1e-13)
    for kind in OBJECTIVES:
        np.testing.assert_allclose(barycenter(P[:1], kind), P[0], rtol=1e-12)
    for name in ("js_divergence", "js_distance", "jensenshannon"):
        np.testing.assert_array_equal(barycenter(P, name), barycenter(P, "js"))
    np.testing.assert_array_equal(barycenter(P, "kl"), barycenter(P))
    assert barycenter(P.astype(np.float32), "js").dtype == np.float32


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_centres_of_clusters_are_those_of_their_rows(kind):
    counts, _ = planted(6)
    weights = counts.sum(axis=1) + np.arange(18)
    clustering = DivergenceClustering(3, center=kind, assign="center", pseudocount=0.5)
    clustering.fit(counts, sample_weight=weights)
    for label, centre in enumerate(clustering.cluster_centers_):
        members = clustering.labels_ == label
        expected = barycenter(counts[members], kind, sample_weight=weights[members], pseudocount=0.5)
        np.testing.assert_allclose(centre, expected, rtol=1e-13)
    np.testing.assert_array_equal(clustering.predict(counts), clustering.labels_)
    distance = divergences()["js_distance"]
    np.testing.assert_allclose(
        clustering.transform(counts[:1])[0, 1], distance(counts[0] + 0.5, clustering.cluster_centers_[1]), rtol=1e-9
    )


def test_refusals(monkeypatch):
    P = [[0.5, 0.5, 0], [0, 0.0, 1]]
    with pytest.raises(ValueError, match="no bin has mass in every row"):
        barycenter(P, "geometric")
    with pytest.raises(ValueError, match="Cluster 0: no bin has mass in every row"):
        DivergenceClustering(1, center="geometric").fit(sp.csr_array(P))
    with pytest.raises(ValueError, match="metric = 'hellinger' must be one of"):
        barycenter(P, "hellinger")
    with pytest.raises(ValueError, match=r"sample_weight\[1\] = -1.0, but a weight must be finite and above zero"):
        barycenter(P, sample_weight=[1, -1])
    for extreme in (1e-320, 1e101, np.inf, np.nan):
        with pytest.raises(ValueError, match=r"sample_weight\[1\] = .* from 1e-100 to 1e\+100"):
            barycenter(P, sample_weight=[1, extreme])
    for weights in ([1e100, 1e-100], [1e-100, 1e100]):
        assert np.isfinite(barycenter(P, "js", sample_weight=weights)).all()
        assert np.isfinite(DivergenceClustering(linkage="ward").fit(P, sample_weight=weights).distances_).all()
    with pytest.raises(ValueError, match=r"one weight for each of the 2 rows of X, but its shape is \(3,\)"):
        barycenter(P, sample_weight=[1, 1, 1])
    with pytest.raises(TypeError, match="sample_weight must hold real numbers"):
        barycenter(P, sample_weight=["a", "b"])
    monkeypatch.setattr(barycenters, "_MOST_STEPS", 2)
    with pytest.warns(ConvergenceWarning, match="still moves by .* after 2 steps"):
        barycenter([[0.9, 0.1], [0.2, 0.8]], "js")


def test_the_js_barycenter_is_the_same_however_rows_with_few_entries_are_stored():
    rng = np.random.default_rng(0)
    X = rng.random((30, 200)) * (rng.random((30, 200)) < 0.1)
    X[:, 0] += 0.1
    wide = sp.csr_array(X)
    wide = sp.csr_array((wide.data, 50 * wide.indices, wide.indptr), shape=(30, 10_000))
    expected = barycenter(sp.csr_array(X), "js")
    np.testing.assert_allclose(barycenter(X, "js"), expected, rtol=1e-9, atol=1e-15)
    found = barycenter(wide, "js")
    np.testing.assert_allclose(found[::50], expected, rtol=1e-9, atol=1e-15)
    assert found.shape == (10_000,)
    assert np.count_nonzero(found) == np.count_nonzero(expected)
