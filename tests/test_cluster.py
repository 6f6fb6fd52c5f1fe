"""DivergenceClustering: its trees are scikit-learn's and SciPy's, its predictions are what they say."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from scipy.cluster.hierarchy import dendrogram, is_valid_linkage
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from skdiv import Divergence, DivergenceClustering, divergences, pairwise_divergences
from skdiv._distributions import normalise
from skdiv.centroids import centres

X = random_distributions(60, 12, seed=3)
NEW = random_distributions(31, 12, seed=4)


def same_partition(labels, others):
    return adjusted_rand_score(labels, others) == 1


# --- The tree ---


@pytest.mark.parametrize("linkage", ["average", "complete", "single"])
@pytest.mark.parametrize("metric", ["js_distance", "total_variation", "bhattacharyya"])
@pytest.mark.parametrize("n_clusters", [1, 2, 7, 60])
def test_the_tree_is_that_of_scikit_learn(linkage, metric, n_clusters):
    ours = DivergenceClustering(n_clusters, metric=metric, linkage=linkage).fit(X)
    theirs = AgglomerativeClustering(n_clusters, metric="precomputed", linkage=linkage, compute_distances=True)
    theirs.fit(pairwise_divergences(X, metric=metric))
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_array_equal(ours.children_, theirs.children_)
    np.testing.assert_array_equal(ours.distances_, theirs.distances_)
    assert (ours.n_leaves_, ours.n_clusters_) == (theirs.n_leaves_, theirs.n_clusters_)


HEIGHTS = DivergenceClustering(linkage="average").fit(X).distances_


@pytest.mark.parametrize("threshold", [0.0, 0.35, HEIGHTS[40], HEIGHTS[-1], 100.0])
def test_a_threshold_cuts_as_in_scikit_learn(threshold):
    ours = DivergenceClustering(None, distance_threshold=threshold, linkage="average").fit(X)
    theirs = AgglomerativeClustering(None, metric="precomputed", linkage="average", distance_threshold=threshold)
    np.testing.assert_array_equal(ours.labels_, theirs.fit(pairwise_divergences(X)).labels_)
    assert ours.n_clusters_ == theirs.n_clusters_


@pytest.mark.parametrize("metric", [name for name, record in divergences().items() if record.hilbertian])
def test_ward_is_ward_on_a_euclidean_embedding(metric):
    """Classical scaling (Torgerson 1952) turns the distances into points; Ward on them is scikit-learn's own."""
    D = pairwise_divergences(X, metric=metric)
    centring = np.eye(60) - 1 / 60
    values, vectors = np.linalg.eigh(-centring @ D**2 @ centring / 2)
    assert values.min() > -1e-12
    points = vectors * np.sqrt(np.maximum(values, 0))
    ours = DivergenceClustering(5, metric=metric, linkage="ward").fit(X)
    theirs = AgglomerativeClustering(5, linkage="ward", compute_distances=True).fit(points)
    np.testing.assert_array_equal(ours.children_, theirs.children_)
    np.testing.assert_allclose(ours.distances_, theirs.distances_, rtol=1e-7)
    assert same_partition(ours.labels_, theirs.labels_)


def test_auto_linkage_is_ward_exactly_where_that_is_legitimate(record):
    clustering = DivergenceClustering(metric=record).fit(X)
    assert clustering.linkage_ == ("ward" if record.hilbertian else "average")


@pytest.mark.parametrize("symmetrize", ["mean", "min", "max"])
def test_an_asymmetric_divergence_is_symmetrised(symmetrize):
    D = pairwise_divergences(X, metric="kl")
    combined = {"mean": (D + D.T) / 2, "min": np.minimum(D, D.T), "max": np.maximum(D, D.T)}[symmetrize]
    ours = DivergenceClustering(4, metric="kl", symmetrize=symmetrize).fit(X)
    theirs = DivergenceClustering(4, metric="precomputed").fit(combined)
    np.testing.assert_array_equal(ours.linkage_matrix_, theirs.linkage_matrix_)


def test_the_tree_is_ready_for_scipy():
    clustering = DivergenceClustering().fit(X)
    assert is_valid_linkage(clustering.linkage_matrix_)
    assert len(dendrogram(clustering.linkage_matrix_, no_plot=True)["leaves"]) == 60


def test_bits_scale_a_distance_by_the_root():
    nats, bits = DivergenceClustering(3).fit(X), DivergenceClustering(3, base=2).fit(X)
    np.testing.assert_allclose(bits.distances_, nats.distances_ / np.log(2) ** 0.5, rtol=1e-12)
    np.testing.assert_array_equal(bits.labels_, nats.labels_)


def test_centres_are_the_mean_distributions_and_minimise_kl():
    counts = X * np.arange(1, 61)[:, np.newaxis]
    clustering = DivergenceClustering(4).fit(counts)
    for label in range(4):
        members = X[clustering.labels_ == label]
        centre = clustering.cluster_centers_[label]
        np.testing.assert_allclose(centre, members.mean(axis=0), rtol=1e-12)
        at_centre = pairwise_divergences(members, [centre], metric="kl").sum()
        rng = np.random.default_rng(label)
        others = centre * (1 + 0.1 * rng.uniform(-1, 1, (50, 12)))
        assert (pairwise_divergences(members, others, metric="kl").sum(axis=0) > at_centre).all()


def test_centres_and_predictions_with_a_sparse_pseudocount():
    counts = np.random.default_rng(0).poisson(1.0, (40, 9)).astype(float)
    dense = DivergenceClustering(3, metric="kl", pseudocount=0.5).fit(counts)
    sparse = DivergenceClustering(3, metric="kl", pseudocount=0.5).fit(sp.csr_array(counts))
    np.testing.assert_allclose(sparse.cluster_centers_, dense.cluster_centers_, rtol=1e-12)
    np.testing.assert_allclose(sparse.transform(sp.csr_array(counts)), dense.transform(counts), atol=1e-12)


# --- Prediction ---


@pytest.mark.parametrize("linkage", ["average", "complete", "single", "auto"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_members_predict_their_own_labels(record, linkage, dtype):
    rows = random_distributions(150, 12, seed=9).astype(dtype)
    clustering = DivergenceClustering(9, metric=record, linkage=linkage).fit(rows)
    np.testing.assert_array_equal(clustering.predict(rows), clustering.labels_)
    np.testing.assert_array_equal(clustering.fit_predict(rows), clustering.labels_)


def test_transform_is_the_distance_to_the_nearest_member_and_predict_its_argmin():
    for metric in ("js_distance", "kl"):
        clustering = DivergenceClustering(4, metric=metric, symmetrize="max").fit(X)
        D = np.maximum(pairwise_divergences(NEW, X, metric=metric), pairwise_divergences(X, NEW, metric=metric).T)
        expected = np.stack([D[:, clustering.labels_ == label].min(axis=1) for label in range(4)], axis=1)
        np.testing.assert_allclose(clustering.transform(NEW), expected, rtol=1e-12)
        np.testing.assert_array_equal(clustering.predict(NEW), expected.argmin(axis=1))


def test_the_centroid_rule_is_the_divergence_to_the_centre():
    clustering = DivergenceClustering(4, metric="kl", assign="centroid", base=2).fit(X)
    expected = pairwise_divergences(NEW, clustering.cluster_centers_, metric="kl", base=2)
    np.testing.assert_allclose(clustering.transform(NEW), expected, rtol=1e-12)
    np.testing.assert_array_equal(clustering.predict(NEW), expected.argmin(axis=1))


def test_the_centroid_rule_keeps_no_fitted_data():
    rows = random_distributions(500, 40)
    by_member, by_centre = (
        len(pickle.dumps(DivergenceClustering(2, assign=a).fit(rows))) for a in ("member", "centroid")
    )
    assert by_member - by_centre > 0.9 * rows.nbytes


def test_precomputed_prediction_takes_the_distances_to_the_fitted():
    direct = DivergenceClustering(4, linkage="average").fit(X)
    D = pairwise_divergences(X)
    precomputed = DivergenceClustering(4, metric="precomputed").fit(D)
    assert precomputed.linkage_ == "average"
    np.testing.assert_array_equal(precomputed.labels_, direct.labels_)
    np.testing.assert_array_equal(precomputed.transform(pairwise_divergences(NEW, X)), direct.transform(NEW))
    np.testing.assert_array_equal(precomputed.predict(D), precomputed.labels_)
    assert not hasattr(precomputed, "cluster_centers_")


def test_prediction_runs_in_chunks(monkeypatch):
    """Never n_new × n_fitted: a batch has a bound, which working_memory may lower, and the result is the same."""
    clustering = DivergenceClustering(4).fit(X)
    expected = clustering.transform(NEW)
    seen = []
    original = DivergenceClustering._batch_to_clusters
    monkeypatch.setattr(
        DivergenceClustering, "_batch_to_clusters", lambda self, batch: seen.append(len(batch)) or original(self, batch)
    )
    with config_context(working_memory=5 * 60 * 8 / 2**20):
        np.testing.assert_allclose(clustering.transform(NEW), expected, rtol=1e-14)
        np.testing.assert_array_equal(clustering.predict(NEW), expected.argmin(axis=1))
    assert set(seen) == {5, 1}


# --- Life in scikit-learn ---


def test_last_step_of_a_pipeline():
    counts, labels = planted(20)
    pipeline = make_pipeline(FunctionTransformer(np.sqrt), DivergenceClustering(3))
    assert adjusted_rand_score(pipeline.fit_predict(counts), labels) == 1
    np.testing.assert_array_equal(pipeline.predict(counts), pipeline[-1].labels_)


def test_middle_step_of_a_pipeline():
    counts, labels = planted(20)
    pipeline = make_pipeline(DivergenceClustering(3), MinMaxScaler(), LogisticRegression()).fit(counts, labels)
    assert pipeline.score(counts, labels) == 1
    assert pipeline[:-1].get_feature_names_out().tolist() == [f"divergenceclustering{k}" for k in range(3)]


def test_grid_search_with_a_label_based_scorer():
    counts, labels = planted(20)
    search = GridSearchCV(
        DivergenceClustering(),
        {"n_clusters": [2, 3, 6], "metric": ["js_distance", divergences()["hellinger"]]},
        scoring=make_scorer(adjusted_rand_score),
        cv=3,
    ).fit(counts, labels)
    assert search.best_params_["n_clusters"] == 3
    assert search.best_score_ == 1


def test_cross_validation_slices_rows_and_columns_of_a_precomputed_matrix():
    counts, labels = planted(20)
    scoring = make_scorer(adjusted_rand_score)
    direct = cross_val_score(DivergenceClustering(3, linkage="average"), counts, labels, scoring=scoring)
    D = pairwise_divergences(counts)
    precomputed = cross_val_score(DivergenceClustering(3, metric="precomputed"), D, labels, scoring=scoring)
    np.testing.assert_array_equal(direct, precomputed)


def test_clone_and_pickle():
    clustering = DivergenceClustering(3, metric=divergences()["kl"], symmetrize="min", base=2).fit(X)
    again = pickle.loads(pickle.dumps(clustering))
    np.testing.assert_array_equal(again.predict(NEW), clustering.predict(NEW))
    copy = clone(clustering)
    assert not hasattr(copy, "labels_")
    np.testing.assert_array_equal(copy.fit(X).labels_, clustering.labels_)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_in_and_out(frame):
    columns = [f"bin {k}" for k in range(12)]
    table = frame(dict(zip(columns, X.T, strict=True)))
    clustering = DivergenceClustering(3).fit(table)
    assert clustering.feature_names_in_.tolist() == columns
    np.testing.assert_array_equal(clustering.predict(table), clustering.labels_)
    name = "pandas" if frame is pd.DataFrame else "polars"
    transformed = clustering.set_output(transform=name).transform(table)
    assert isinstance(transformed, frame)
    assert list(transformed.columns) == [f"divergenceclustering{k}" for k in range(3)]
    np.testing.assert_array_equal(transformed.to_numpy(), clustering.set_output(transform="default").transform(table))
    with pytest.raises(ValueError, match="feature names should match"):
        clustering.predict(table[columns[::-1]])


def test_memory_caches_the_tree(tmp_path):
    first = DivergenceClustering(3, memory=str(tmp_path)).fit(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skdiv.cluster.BlockKernel.condensed", None)
        again = DivergenceClustering(5, memory=str(tmp_path), n_jobs=2).fit(X)
    np.testing.assert_array_equal(again.linkage_matrix_, first.linkage_matrix_)
    np.testing.assert_array_equal(again.labels_, DivergenceClustering(5).fit(X).labels_)


def test_a_tree_of_another_version_is_not_taken_from_the_cache(tmp_path, monkeypatch):
    DivergenceClustering(3, memory=str(tmp_path)).fit(X)
    monkeypatch.setattr("skdiv.cluster.__version__", "another")
    monkeypatch.setattr("skdiv.cluster.BlockKernel.condensed", None)
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        DivergenceClustering(3, memory=str(tmp_path)).fit(X)


def test_a_divergence_of_ones_own_is_never_taken_from_the_cache(tmp_path):
    """joblib knows a function by its name, under which a notebook may define another."""
    heights = []
    for power in (1, 2):

        def term(p, q, power=power):
            return np.abs(p - q) ** power

        own = Divergence(name="own", term=term, symmetric=True)
        heights.append(DivergenceClustering(metric=own, memory=str(tmp_path)).fit(X).distances_)
    assert not np.allclose(*heights)


def test_prediction_is_by_the_parameters_of_the_fit():
    for before, after in [("member", "centroid"), ("centroid", "member")]:
        clustering = DivergenceClustering(3, assign=before).fit(X)
        expected = clustering.predict(NEW)
        np.testing.assert_array_equal(clustering.set_params(assign=after).predict(NEW), expected)


def test_new_rows_take_the_precision_of_the_fitted():
    counts = np.random.default_rng(0).integers(1, 1000, (40, 12))
    for fitted, new in [(np.float32, np.float64), (np.float64, np.float32), (np.float32, np.int64)]:
        clustering = DivergenceClustering(4).fit(counts.astype(fitted))
        assert (clustering.transform(counts.astype(new)).min(axis=1) == 0).all()


def test_centres_of_many_rows_in_single_precision():
    rows = np.tile(np.array([[0.1, 0.2, 0.7]], dtype=np.float32), (200_000, 1))
    centre = centres(normalise(rows), None, np.zeros(200_000, dtype=int), 1, "mean")
    assert centre.dtype == np.float32
    np.testing.assert_allclose(centre, rows[:1], rtol=2e-7)


def test_fitting_again_forgets_the_first_fit():
    clustering = DivergenceClustering(3).fit(X).set_params(metric="precomputed").fit(pairwise_divergences(X))
    assert not hasattr(clustering, "cluster_centers_")
    assert clustering.n_features_in_ == 60


def test_input_is_left_as_it_is(sparse_rows):
    for rows in (sparse_rows, sparse_rows * 3):
        before = rows.copy()
        DivergenceClustering(pseudocount=1, metric="kl").fit(rows).predict(rows)
        np.testing.assert_array_equal(rows, before)
    D = pairwise_divergences(sparse_rows)
    before = D.copy()
    DivergenceClustering(metric="precomputed", linkage="ward").fit(D).predict(D)
    np.testing.assert_array_equal(D, before)


# --- Weights ---


def test_weights_are_routed_to_fit():
    counts, labels = planted(10)
    weights = counts.sum(axis=1)
    with config_context(enable_metadata_routing=True):
        clustering = DivergenceClustering(3, linkage="information").set_fit_request(sample_weight=True)
        model = make_pipeline(FunctionTransformer(), clustering).fit(counts, sample_weight=weights)
        assert adjusted_rand_score(labels, model[-1].labels_) == 1
    expected = DivergenceClustering(3, linkage="information").fit(counts, sample_weight=weights)
    np.testing.assert_array_equal(model[-1].distances_, expected.distances_)
    np.testing.assert_array_equal(expected.fit_predict(counts, sample_weight=weights), expected.labels_)


@pytest.mark.parametrize("linkage", ["complete", "single", "average", "ward"])
def test_equal_weights_are_none(linkage):
    clustering = DivergenceClustering(4, linkage=linkage)
    unweighted = clustering.fit(X).linkage_matrix_
    np.testing.assert_allclose(clustering.fit(X, sample_weight=np.ones(60)).linkage_matrix_, unweighted, rtol=1e-7)
    D = pairwise_divergences(X)
    precomputed = clustering.set_params(metric="precomputed").fit(D, sample_weight=np.ones(60))
    np.testing.assert_allclose(precomputed.linkage_matrix_, unweighted, rtol=1e-7)


@pytest.mark.parametrize("linkage", ["complete", "single"])
def test_weights_enter_the_centres_alone_where_rows_are_not_counted(linkage):
    weights = np.random.default_rng(0).uniform(1, 9, 60)
    clustering = DivergenceClustering(4, linkage=linkage)
    unweighted = clustering.fit(X).linkage_matrix_
    np.testing.assert_array_equal(clustering.fit(X, sample_weight=weights).linkage_matrix_, unweighted)
    for label, centre in enumerate(clustering.cluster_centers_):
        members = clustering.labels_ == label
        np.testing.assert_allclose(centre, np.average(X[members], axis=0, weights=weights[members]), rtol=1e-13)
