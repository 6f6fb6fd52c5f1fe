"""What each bin adds to a divergence, and which bins make a cluster."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import POLARS, RECORDS, planted, random_distributions
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from oracle import DEFINITIONS, exact, relative_error
from sklearn.cluster import KMeans

from skdiv import (
    Divergence,
    DivergenceClustering,
    MiniBatchDivergenceClustering,
    barycenter,
    divergences,
    paired_divergences,
)
from skdiv.explanations import describe_clusters, divergence_contributions

ROOTS = {"js_distance", "hellinger"}
ADDITIVE = ["kl", "jeffreys", "js_divergence", "js_distance", "hellinger", "total_variation", "chi2"]
P, Q = random_distributions(6, 9, zeros=0.3, seed=1), random_distributions(6, 9, seed=2)


# --- Contributions ---


@pytest.mark.parametrize("name", ADDITIVE)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csc_matrix, pd.DataFrame, POLARS])
def test_contributions_sum_to_the_divergence_or_to_its_square_if_it_is_a_root(name, container):
    contributions = divergence_contributions(container(P), container(Q), name)
    assert contributions.shape == P.shape
    assert contributions.min() >= 0
    values = paired_divergences(P, Q, name)
    assert_allclose(contributions.sum(axis=1), values**2 if name in ROOTS else values, rtol=1e-13)


@pytest.mark.parametrize("name", ADDITIVE)
def test_contributions_sum_to_the_definition_in_50_digits(name):
    near = Q[0] * (1 + 1e-6 * np.arange(9))
    for p in (P[0], near):
        expected = exact(p, Q[0], DEFINITIONS[name])
        expected = expected**2 if name in ROOTS else expected
        assert relative_error(divergence_contributions(p, Q[0], name).sum(), expected) < 1e-8


def test_contributions_of_kl_are_its_textbook_terms_minus_p_plus_q():
    p, q = P[0], Q[0]
    textbook = np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / q), 0)
    assert_allclose(divergence_contributions(p, q, "kl"), textbook - p + q, rtol=1e-12)


@pytest.mark.parametrize(("name", "unit"), [("kl", np.log(2)), ("js_distance", np.log(2))])
def test_in_another_base_contributions_sum_to_the_divergence_in_it(name, unit):
    in_bits = divergence_contributions(P, Q, name, base=2)
    assert_allclose(in_bits, divergence_contributions(P, Q, name) / unit, rtol=1e-14)
    values = paired_divergences(P, Q, name, base=2)
    assert_allclose(in_bits.sum(axis=1), values**2 if name in ROOTS else values, rtol=1e-13)


def test_a_bin_without_mass_in_q_contributes_infinity_to_kl():
    contributions = divergence_contributions([0.5, 0.5, 0.0], [1.0, 0.0, 0.0], "kl")
    assert_equal(np.isinf(contributions), [False, True, False])
    assert contributions[2] == 0


def test_equal_distributions_and_bins_empty_in_both_contribute_nothing():
    for name in ADDITIVE:
        assert divergence_contributions(3 * P, P, name).max() < 1e-16
    assert divergence_contributions([1, 0, 1], [3, 0, 1])[1] == 0


def test_counts_are_divided_by_their_sums_after_the_pseudocount_is_added():
    p, q = [3, 0, 1], [0, 2, 2]
    smoothed = divergence_contributions(p, q, "kl", pseudocount=0.5)
    assert_allclose(smoothed, divergence_contributions([3.5, 0.5, 1.5], [0.5, 2.5, 2.5], "kl"))
    assert_allclose(divergence_contributions(sp.csr_array([p]), sp.csr_array([q]), "kl", pseudocount=0.5), [smoothed])


def test_single_precision_gives_single_precision_and_vectors_give_vectors():
    contributions = divergence_contributions(P.astype(np.float32), Q.astype(np.float32))
    assert contributions.dtype == np.float32
    assert_allclose(contributions, divergence_contributions(P, Q), rtol=1e-4, atol=1e-7)
    assert divergence_contributions(P[0].astype(np.float32), Q[0].astype(np.float32)).dtype == np.float32
    assert_array_equal(divergence_contributions(P[0], Q[0]), divergence_contributions(P, Q)[0])


def test_input_is_not_modified_and_may_be_read_only():
    p, q = P.copy(), Q.copy()
    p.flags.writeable = q.flags.writeable = False
    divergence_contributions(p, q)
    assert_array_equal(p, P)


@pytest.mark.parametrize("record", [record for record in RECORDS if record.rows is not None], ids=lambda r: r.name)
def test_a_divergence_that_is_no_sum_over_bins_is_refused_with_those_that_are(record):
    with pytest.raises(
        ValueError, match=r"no sum over the bins.*'js_distance', 'hellinger', 'total_variation'"
    ) as caught:
        divergence_contributions(P, Q, record)
    listed = [name for name in divergences() if f"'{name}'" in str(caught.value).split("Use metric")[1]]
    assert listed == ADDITIVE


def test_a_divergence_of_ones_own_has_contributions_if_it_is_a_sum_or_its_root():
    def squared(p, q):
        return (p - q) ** 2

    total = Divergence(name="squared", term=squared, symmetric=True)
    root = Divergence(name="euclidean", term=squared, symmetric=True, finish=np.sqrt)
    other = Divergence(name="other", term=squared, symmetric=True, finish=np.log1p)
    assert_allclose(divergence_contributions(P, Q, total), squared(P, Q), rtol=1e-12)
    assert_allclose(divergence_contributions(P, Q, root), squared(P, Q), rtol=1e-12)
    by_rows = replace(other, name="rows", rows=lambda p, q: np.log1p(squared(p, q).sum(axis=-1)))
    for refused in (other, by_rows):
        with pytest.raises(ValueError, match=f"'{refused.name}'.*no sum over the bins"):
            divergence_contributions(P, Q, refused)


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([1, 2], [1, 2, 3], r"p has 2 bins \(columns\) and q has 3"),
        ([1, 2], [[1, 2]], "p is one distribution and q is a collection"),
        ([[1, 2], [1, 1]], [[1, 2]], "p has 2 rows and q has 1"),
        ([1, -2], [1, 2], r"passed to p: p\[0, 1\] = -2"),
        ([1, 2], [0, 0], r"q\[0\] sums to 0"),
        ([[[1]]], [[[1]]], "p has 3 dimensions"),
    ],
)
def test_what_has_no_contributions_is_refused_by_name(p, q, message):
    with pytest.raises(ValueError, match=message):
        divergence_contributions(p, q)


def test_frames_whose_columns_differ_are_refused():
    one, other = pd.DataFrame([[1, 2]], columns=["a", "b"]), pd.DataFrame([[1, 2]], columns=["b", "a"])
    with pytest.raises(ValueError, match="Column 0 of p is 'a' and of q 'b'"):
        divergence_contributions(one, other)
    with pytest.raises(ValueError, match=r"Label 0 of p is 'a' and of q 'b', .*, for instance q\[p\.index\]\.$"):
        divergence_contributions(one.loc[0], other.loc[0])


def test_a_frame_of_a_pair_has_one_row_a_bin():
    frame = divergence_contributions([3, 1], [1, 1], "kl", feature_names=["sun", "rain"], as_frame=True)
    assert list(frame.columns) == ["feature", "p", "q", "contribution"]
    assert list(frame["feature"]) == ["sun", "rain"]
    assert_allclose(frame[["p", "q"]], [[0.75, 0.5], [0.25, 0.5]])
    assert_array_equal(frame["contribution"], divergence_contributions([3, 1], [1, 1], "kl"))
    assert list(divergence_contributions([3, 1], [1, 1], as_frame=True)["feature"]) == [0, 1]


def test_a_frame_of_many_pairs_is_tidy_and_keeps_their_names():
    p = pd.DataFrame(P[:2], index=["mon", "tue"], columns=list("abcdefghi"))
    frame = divergence_contributions(p, Q[:2], as_frame=True)
    assert list(frame.columns) == ["row", "feature", "p", "q", "contribution"]
    assert len(frame) == 18
    wide = frame.pivot(index="row", columns="feature", values="contribution")
    assert_array_equal(wide.loc[["mon", "tue"]], divergence_contributions(P[:2], Q[:2]))
    of_series = divergence_contributions(p.loc["mon"], Q[0], as_frame=True)
    assert list(of_series["feature"]) == list("abcdefghi")


def test_names_of_bins_have_to_be_as_many_as_bins():
    with pytest.raises(ValueError, match="feature_names has 2 names for 9 bins"):
        divergence_contributions(P, Q, feature_names=["a", "b"], as_frame=True)


def test_without_pandas_a_frame_is_refused_with_the_remedy(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("skdiv._utils.optional.import_module", missing)
    with pytest.raises(ImportError, match=r"as_frame=True.*install pandas"):
        divergence_contributions(P, Q, as_frame=True)


# --- Clusters ---

COUNTS, GROUPS = planted(12, n_bins=15, n_clusters=3, seed=4)


@pytest.fixture(scope="module")
def clustering():
    return DivergenceClustering(3).fit(COUNTS)


def test_a_cluster_is_described_by_the_mean_of_its_rows_beside_that_of_all_others(clustering):
    described = describe_clusters(clustering, COUNTS, top=None)
    shares = COUNTS / COUNTS.sum(axis=1, keepdims=True)
    for cluster in range(3):
        inside = clustering.labels_ == cluster
        p, q = shares[inside].mean(axis=0), shares[~inside].mean(axis=0)
        mine = described[described["cluster"] == cluster]
        assert sorted(mine["feature"]) == list(range(15))
        assert_allclose(mine["inside"], p[mine["feature"]], rtol=1e-13)
        assert_allclose(mine["outside"], q[mine["feature"]], rtol=1e-13)
        assert_allclose(mine["inside"], clustering.cluster_centers_[cluster][mine["feature"]], rtol=1e-13)
        assert_allclose(mine["contribution"], divergence_contributions(p, q)[mine["feature"]], rtol=1e-12)
        assert_allclose(mine["share"].sum(), 1)


def test_bins_are_sorted_by_what_they_contribute_and_say_in_which_direction(clustering):
    described = describe_clusters(clustering, COUNTS, top=4)
    assert len(described) == 12
    complete = describe_clusters(clustering, COUNTS, top=100)
    for cluster in range(3):
        mine, everything = (table[table["cluster"] == cluster] for table in (described, complete))
        assert np.all(np.diff(everything["contribution"]) <= 0)
        assert_array_equal(mine, everything[:4])
        assert_array_equal(mine["direction"], np.where(mine["inside"] > mine["outside"], "over", "under"))
        assert_allclose(mine["ratio"], mine["inside"] / mine["outside"])


def test_the_bins_that_were_planted_are_found():
    base = np.ones(20)
    one, other = base.copy(), base.copy()
    one[3], other[[7, 8]] = 30, 15
    X = np.vstack([np.random.default_rng(0).multinomial(2000, w / w.sum(), 10) for w in (one, other)])
    clustering = DivergenceClustering(2).fit(X)
    described = describe_clusters(clustering, X, top=3)
    for cluster, bins in ((clustering.labels_[0], {3}), (clustering.labels_[-1], {7, 8})):
        mine = described[described["cluster"] == cluster]
        assert set(mine["feature"][mine["direction"] == "over"]) == bins


def test_a_bin_of_one_cluster_alone_has_an_infinite_ratio_and_finite_js_contribution():
    X = [[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 1, 1]]
    clustering = DivergenceClustering(2).fit(X)
    described = describe_clusters(clustering, X, top=None)
    alone = described[(described["inside"] > 0) & (described["outside"] == 0)]
    assert len(alone) == 2
    assert np.isinf(alone["ratio"]).all()
    assert np.isfinite(described["contribution"]).all()
    equal = described[described["feature"] == 1]
    assert_array_equal(equal["direction"], "equal")
    assert_array_equal(equal["share"], 0)
    by_kl = describe_clusters(clustering, X, metric="kl", top=None)
    assert_array_equal(np.isinf(by_kl["contribution"]), by_kl["share"] > 0)


def test_weights_of_rows_enter_the_means_as_they_enter_the_centers():
    weights = np.random.default_rng(1).uniform(1, 5, len(COUNTS))
    clustering = DivergenceClustering(3).fit(COUNTS, sample_weight=weights)
    described = describe_clusters(clustering, COUNTS, sample_weight=weights, top=None)
    others = clustering.labels_ != 1
    mine = described[described["cluster"] == 1]
    assert_allclose(mine["inside"], clustering.cluster_centers_[1][mine["feature"]], rtol=1e-13)
    complement = barycenter(COUNTS[others], sample_weight=weights[others])
    assert_allclose(mine["outside"], complement[mine["feature"]], rtol=1e-12)


@pytest.mark.parametrize("container", [sp.csr_array, pd.DataFrame, POLARS])
def test_sparse_rows_and_frames_are_described_alike(container):
    clustering = DivergenceClustering(3, pseudocount=0.5).fit(container(COUNTS))
    described = describe_clusters(clustering, container(COUNTS))
    expected = describe_clusters(DivergenceClustering(3, pseudocount=0.5).fit(COUNTS), COUNTS)
    for field in ("cluster", "contribution", "inside", "outside"):
        assert_allclose(described[field], expected[field], rtol=1e-12)
    names = list(getattr(clustering, "feature_names_in_", range(15)))
    of_center = [clustering.cluster_centers_[row["cluster"], names.index(row["feature"])] for row in described]
    assert_allclose(described["inside"], of_center, rtol=1e-12)


def test_clusters_of_another_estimator_are_refused():
    with pytest.raises(TypeError, match="must be a fitted DivergenceClustering or .* but it is KMeans"):
        describe_clusters(KMeans(2, n_init=1).fit(COUNTS), COUNTS)


def test_a_description_is_by_the_parameters_of_the_fit():
    for model in (DivergenceClustering(3, pseudocount=0.5), MiniBatchDivergenceClustering(3, pseudocount=0.5)):
        before = describe_clusters(model.fit(COUNTS), COUNTS)
        assert_array_equal(describe_clusters(model.set_params(pseudocount=9), COUNTS), before)
    before = describe_clusters(clustering := DivergenceClustering(3).fit(COUNTS), COUNTS)
    assert_array_equal(describe_clusters(clustering.set_params(metric="precomputed"), COUNTS), before)


def test_bins_have_the_names_of_the_columns_or_those_that_are_given(clustering):
    names = [f"bin {k}" for k in range(15)]
    by_position = describe_clusters(clustering, COUNTS)
    expected = [names[k] for k in by_position["feature"]]
    frame = pd.DataFrame(COUNTS, columns=names)
    fitted = DivergenceClustering(3).fit(frame)
    for described in (
        describe_clusters(fitted, frame),
        describe_clusters(clustering, COUNTS, feature_names=names),
        describe_clusters(clustering, COUNTS, feature_names=names, as_frame=True),
    ):
        assert list(described["feature"]) == expected
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        assert list(describe_clusters(clustering, frame)["feature"]) == expected
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert list(describe_clusters(fitted, COUNTS)["feature"]) == expected


def test_the_frame_holds_what_the_array_holds(clustering):
    frame = describe_clusters(clustering, COUNTS, as_frame=True)
    array = describe_clusters(clustering, COUNTS)
    assert list(frame.columns) == list(array.dtype.names)
    for field in array.dtype.names:
        assert_array_equal(frame[field].to_numpy(), array[field])


def test_clusters_of_many_rows_and_of_precomputed_distances_are_described():
    by_batches = MiniBatchDivergenceClustering(3, random_state=0).fit(COUNTS)
    described = describe_clusters(by_batches, COUNTS, top=None)
    for cluster in range(3):
        mine = described[described["cluster"] == cluster]
        assert_allclose(mine["inside"], by_batches.cluster_centers_[cluster][mine["feature"]], rtol=1e-12)
    D = np.abs(GROUPS[:, np.newaxis] - GROUPS) * 1.0
    by_distances = DivergenceClustering(3, metric="precomputed").fit(D)
    assert len(describe_clusters(by_distances, COUNTS, top=5)) == 15


@pytest.mark.parametrize(
    ("n_clusters", "X", "keywords", "message"),
    [
        (1, COUNTS, {}, "one cluster, which has no others to be compared with; fit with n_clusters of at least 2"),
        (3, COUNTS[:5], {}, "X has 5 rows, but labels_ are those of 36: pass the rows that were fitted"),
        (3, COUNTS, {"top": 0}, "top == 0, must be >= 1"),
        (3, COUNTS, {"metric": "renyi"}, "no sum over the bins"),
        (3, COUNTS, {"feature_names": ["a"]}, "feature_names has 1 names for 15 bins"),
        (3, COUNTS[:, :4], {}, "X has 4 features, but DivergenceClustering is expecting 15"),
        (3, COUNTS, {"sample_weight": [1, 2]}, "sample_weight must be a vector"),
    ],
)
def test_what_cannot_be_described_is_refused_with_the_remedy(n_clusters, X, keywords, message):
    clustering = DivergenceClustering(n_clusters).fit(COUNTS)
    with pytest.raises(ValueError, match=message):
        describe_clusters(clustering, X, **keywords)


def test_an_estimator_without_labels_is_refused_with_the_remedy():
    merged = MiniBatchDivergenceClustering(2, random_state=0).fit(COUNTS[:20])
    merged.merge(MiniBatchDivergenceClustering(2, random_state=0).fit(COUNTS[20:]))
    with pytest.raises(ValueError, match="has no labels_"):
        describe_clusters(merged, COUNTS)
