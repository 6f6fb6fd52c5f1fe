"""DivergenceClustering: its trees are scikit-learn's and SciPy's, its predictions are what they say."""

import pickle
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import POLARS, planted, random_distributions
from scipy.cluster.hierarchy import dendrogram, is_valid_linkage
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

import skdiv
from skdiv import (
    Divergence,
    DivergenceClustering,
    Significance,
    barycenter,
    divergences,
    pairwise_divergences,
    pairwise_homogeneity,
)
from skdiv._compute.measure import Measure
from skdiv._input.distributions import normalise
from skdiv._utils.warnings import warn_caller
from skdiv.barycenters import centers_of

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


def test_the_center_rule_is_the_divergence_to_the_centre():
    clustering = DivergenceClustering(4, metric="kl", assign="center", base=2).fit(X)
    expected = pairwise_divergences(NEW, clustering.cluster_centers_, metric="kl", base=2)
    np.testing.assert_allclose(clustering.transform(NEW), expected, rtol=1e-12)
    np.testing.assert_array_equal(clustering.predict(NEW), expected.argmin(axis=1))


def test_the_center_rule_keeps_no_fitted_data():
    rows = random_distributions(500, 40)
    by_member, by_centre = (
        len(pickle.dumps(DivergenceClustering(2, assign=a).fit(rows))) for a in ("member", "center")
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
    original = Measure.matrix
    monkeypatch.setattr(
        Measure,
        "matrix",
        lambda self, batch, *others, **options: seen.append(len(batch)) or original(self, batch, *others, **options),
    )
    with config_context(working_memory=5 * 60 * 8 / 2**20):
        np.testing.assert_allclose(clustering.transform(NEW), expected, rtol=1e-14)
        np.testing.assert_array_equal(clustering.predict(NEW), expected.argmin(axis=1))
    assert set(seen) == {5, 1}


# --- Rows that belong to no cluster ---

EMPTY = np.isin(np.arange(31), [0, 3, 4, 30])
WITH_EMPTY = NEW * ~EMPTY[:, np.newaxis]


def in_csr_with_stored_zeros(rows):
    return sp.csr_array((rows.ravel(), np.tile(np.arange(12), len(rows)), np.arange(0, rows.size + 1, 12)), rows.shape)


@pytest.mark.parametrize("assign", ["member", "center"])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array, sp.csc_array, in_csr_with_stored_zeros, pd.DataFrame])
def test_empty_rows_are_labelled_and_the_others_predicted(convert, assign):
    clustering = DivergenceClustering(4, handle_empty="label", assign=assign).fit(X)
    given = convert(WITH_EMPTY)
    labels, distances = clustering.predict(given), clustering.transform(given)
    assert (labels[EMPTY] == -1).all()
    assert np.isnan(distances[EMPTY]).all()
    np.testing.assert_array_equal(labels[~EMPTY], clustering.predict(NEW[~EMPTY]))
    np.testing.assert_allclose(distances[~EMPTY], clustering.transform(NEW[~EMPTY]), rtol=1e-12)
    np.testing.assert_array_equal(WITH_EMPTY[EMPTY], 0)


def test_a_batch_of_empty_rows_alone_is_labelled():
    clustering = DivergenceClustering(4, handle_empty="label").fit(X)
    for nothing in (np.zeros((3, 12)), sp.csr_array((3, 12)), np.zeros((3, 12), dtype=np.float32)):
        np.testing.assert_array_equal(clustering.predict(nothing), [-1, -1, -1])
        assert np.isnan(clustering.transform(nothing)).all()


def test_empty_rows_are_an_error_unless_asked_for():
    clustering = DivergenceClustering(4).fit(X)
    for convert in (np.asarray, sp.csr_array):
        for method in (clustering.predict, clustering.transform):
            with pytest.raises(ValueError, match=r"X\[0\] sums to 0 \(and 3 more rows\).*handle_empty='label'"):
                method(convert(WITH_EMPTY))


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_fit_refuses_empty_rows_in_any_case(convert):
    with pytest.raises(ValueError, match=r"X\[0\] sums to 0"):
        DivergenceClustering(4, handle_empty="label").fit(convert(WITH_EMPTY))


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
def test_no_row_is_empty_with_a_pseudocount(convert):
    labelling, refusing = (
        DivergenceClustering(4, handle_empty=handle, pseudocount=0.1).fit(X) for handle in ("label", "error")
    )
    np.testing.assert_array_equal(labelling.transform(convert(WITH_EMPTY)), refusing.transform(convert(WITH_EMPTY)))


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("value", [np.nan, -1, np.inf])
def test_bad_entries_are_named_by_their_place_beside_empty_rows(convert, value):
    bad = WITH_EMPTY.copy()
    bad[5] *= 0
    bad[5, 2] = value
    clustering = DivergenceClustering(4, handle_empty="label").fit(X)
    with pytest.raises(ValueError, match=rf"X\[5, 2\] = {float(value)}"):
        clustering.predict(convert(bad))


def test_rows_infinitely_far_from_every_cluster():
    rows = np.eye(4, 5) + np.array([0.1, 0.1, 0.1, 0.1, 0])
    new = [[1, 0, 0, 1, 0], [0, 0, 0, 0, 3], [0, 0, 0, 0, 0]]
    parameters = {"metric": "bhattacharyya", "assign": "center", "linkage": "single"}
    refusing = DivergenceClustering(2, **parameters).fit(rows)
    with pytest.raises(ValueError, match=r"X\[1\] is infinitely far from every cluster.*handle_empty='label'"):
        refusing.predict(new[:2])
    labelling = DivergenceClustering(2, handle_empty="label", **parameters).fit(rows)
    assert labelling.predict(new).tolist() == [*refusing.predict(new[:1]), -1, -1]
    np.testing.assert_array_equal(labelling.transform(new)[1:], [[np.inf, np.inf], [np.nan, np.nan]])


def test_distances_have_no_empty_rows():
    with pytest.raises(ValueError, match="handle_empty = 'label' needs the distributions"):
        DivergenceClustering(metric="precomputed", handle_empty="label").fit(pairwise_divergences(X))


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


@pytest.mark.parametrize("frame", [pd.DataFrame, POLARS])
def test_frames_in_and_out(frame):
    columns = [f"bin {k}" for k in range(12)]
    table = frame(dict(zip(columns, X.T, strict=True)))
    clustering = DivergenceClustering(3).fit(table)
    assert clustering.feature_names_in_.tolist() == columns
    np.testing.assert_array_equal(clustering.predict(table), clustering.labels_)
    name = "pandas" if frame is pd.DataFrame else "polars"
    transformed = clustering.set_output(transform=name).transform(table)
    assert type(transformed) is type(table)
    assert list(transformed.columns) == [f"divergenceclustering{k}" for k in range(3)]
    np.testing.assert_array_equal(transformed.to_numpy(), clustering.set_output(transform="default").transform(table))
    with pytest.raises(ValueError, match="feature names should match"):
        clustering.predict(table[columns[::-1]])


def test_memory_caches_the_tree(tmp_path):
    first = DivergenceClustering(3, memory=str(tmp_path)).fit(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skdiv._compute.measure.Measure.condensed", None)
        again = DivergenceClustering(5, memory=str(tmp_path), n_jobs=2).fit(X)
    np.testing.assert_array_equal(again.linkage_matrix_, first.linkage_matrix_)
    np.testing.assert_array_equal(again.labels_, DivergenceClustering(5).fit(X).labels_)


def test_a_tree_is_taken_from_the_cache_only_where_all_is_the_same_that_it_depends_on(tmp_path):
    weights, path, kl = np.arange(1.0, 61), np.eye(60, k=1), {"metric": "kl", "linkage": "average"}
    for parameters, masses in [
        *(({}, some) for some in (None, weights, weights[::-1])),
        *(({"linkage": linkage}, None) for linkage in ("average", "single")),
        *(({"linkage": "single", "connectivity": graph}, None) for graph in (path, np.roll(path, 30, axis=0))),
        *(({**kl, **more}, None) for more in ({}, {"symmetrize": "min"}, {"base": 2}, {"pseudocount": 1})),
    ]:
        cached = DivergenceClustering(3, memory=str(tmp_path), **parameters).fit(X, sample_weight=masses)
        alone = DivergenceClustering(3, **parameters).fit(X, sample_weight=masses)
        np.testing.assert_array_equal(cached.linkage_matrix_, alone.linkage_matrix_)


def test_a_tree_of_another_version_is_not_taken_from_the_cache(tmp_path, monkeypatch):
    DivergenceClustering(3, memory=str(tmp_path)).fit(X)
    monkeypatch.setattr("skdiv.cluster._fitting.__version__", "another")
    monkeypatch.setattr("skdiv._compute.measure.Measure.condensed", None)
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


COUNTS = np.random.default_rng(8).poisson(4.0, (40, 6)) + 0.0
CHANGES = [
    ({}, {"pseudocount": 5}),
    ({"pseudocount": 5}, {"pseudocount": 0.0}),
    ({}, {"assign": "center"}),
    ({"assign": "center"}, {"assign": "member"}),
    ({}, {"metric": "kl"}),
    ({}, {"metric": "precomputed"}),
    ({"metric": "kl", "pseudocount": 1}, {"symmetrize": "max"}),
    ({}, {"base": 2}),
    ({"assign": "center"}, {"center": "js"}),
    ({"linkage": "average"}, {"linkage": "ward"}),
    ({}, {"n_clusters": 5}),
    ({}, {"n_clusters": None, "distance_threshold": 0.1}),
    ({}, {"n_clusters": Significance()}),
    ({}, {"connectivity": np.eye(40)}),
    ({}, {"memory": "nowhere"}),
    ({}, {"refine": 3}),
    ({}, {"handle_empty": "label"}),
    ({}, {"n_jobs": 2}),
]


@pytest.mark.parametrize(("before", "after"), CHANGES, ids=str)
def test_prediction_is_by_the_parameters_of_the_fit(before, after):
    clustering = DivergenceClustering(3, **before).fit(COUNTS)
    distances, labels = clustering.transform(COUNTS + 1), clustering.predict(COUNTS + 1)
    clustering.set_params(**after)
    np.testing.assert_array_equal(clustering.transform(COUNTS + 1), distances)
    np.testing.assert_array_equal(clustering.predict(COUNTS + 1), labels)
    with pytest.raises(ValueError, match=r"X\[1\] sums to 0") if not before.get("pseudocount") else nullcontext():
        clustering.predict(COUNTS * (np.arange(40) != 1)[:, np.newaxis])


def test_every_parameter_is_changed_after_a_fit():
    assert {name for _, after in CHANGES for name in after} == DivergenceClustering().get_params(deep=False).keys()


def test_prediction_from_distances_is_by_the_parameters_of_the_fit():
    D = pairwise_divergences(X)
    clustering = DivergenceClustering(3, metric="precomputed").fit(D)
    labels = clustering.predict(D)
    clustering.set_params(metric="js_distance", assign="center", pseudocount=1, handle_empty="label")
    np.testing.assert_array_equal(clustering.predict(D), labels)
    with pytest.raises(ValueError, match="NaN or inf passed to X"):
        clustering.predict(np.full((1, 60), np.nan))


# --- A fit that fails ---

FAILING = [
    ({"linkage": "average", "symmetrize": "nothing"}, COUNTS),
    ({"n_clusters": 50}, COUNTS),
    ({"linkage": "complete"}, COUNTS - 1),
    ({"linkage": "complete"}, COUNTS * [1, 1, 1, 0, 0, 0] * (np.arange(40) % 7 > 0)[:, np.newaxis]),
    ({"metric": "kl", "linkage": "complete"}, np.eye(8, 9)),
    ({"center": "geometric"}, np.eye(8, 9)),
    ({"metric": "precomputed"}, np.ones((7, 7))),
    ({"n_clusters": "significant"}, COUNTS / 7),
    ({"connectivity": np.ones((3, 3)), "linkage": "complete"}, COUNTS),
    ({}, pd.DataFrame(COUNTS * 0, columns=[f"new {k}" for k in range(6)])),
    ({}, pd.DataFrame(COUNTS[:, :2], columns=["one", 2])),
]


@pytest.mark.parametrize(("params", "rows"), FAILING, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_a_failed_refit_leaves_the_estimator_as_it_was(params, rows):
    table = pd.DataFrame(COUNTS, columns=[f"bin {k}" for k in range(6)])
    clustering = DivergenceClustering(3, linkage="information").fit(table)
    before = {name: value for name, value in vars(clustering).items() if name not in clustering.get_params()}
    labels = clustering.predict(table)
    with pytest.raises((ValueError, TypeError)):
        clustering.set_params(**params).fit(rows)
    after = {name: value for name, value in vars(clustering).items() if name not in clustering.get_params()}
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    np.testing.assert_array_equal(clustering.predict(table), labels)


def test_an_interrupted_refit_leaves_the_estimator_as_it_was(monkeypatch):
    clustering = DivergenceClustering(3).fit(COUNTS)
    before = dict(vars(clustering))
    for step in ("normalise", "tree_of_rows", "IntoClusters", "centers_of"):
        with monkeypatch.context() as patch:
            patch.setattr(f"skdiv.cluster._fitting.{step}", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                clustering.fit(X)
        assert vars(clustering) == before


def test_a_failed_first_fit_leaves_nothing():
    clustering = DivergenceClustering(50)
    untouched = dict(vars(clustering))
    with pytest.raises(ValueError, match="n_clusters = 50 is more than the 40 rows"):
        clustering.fit(COUNTS)
    assert vars(clustering) == untouched


# --- Warnings ---


def split_graph(_):
    return np.kron(np.eye(2), np.ones((20, 20)))


WARNING = [
    lambda: pairwise_homogeneity([[1, 2], [2, 1]], method="chi2"),
    lambda: barycenter(COUNTS, "js"),
    lambda: DivergenceClustering(center="js").fit(COUNTS),
    lambda: DivergenceClustering(center="js").fit_predict(COUNTS),
    lambda: DivergenceClustering(linkage="single", connectivity=split_graph).fit(COUNTS),
    lambda: DivergenceClustering(linkage="average", connectivity=split_graph).fit_transform(COUNTS),
    lambda: make_pipeline(DivergenceClustering(linkage="single", connectivity=split_graph)).fit(COUNTS),
]


@pytest.mark.parametrize("number", range(len(WARNING)))
@pytest.mark.parametrize("memory", [False, True])
def test_a_warning_points_at_the_line_of_the_caller(number, memory, tmp_path, monkeypatch):
    monkeypatch.setattr("skdiv.barycenters._MOST_STEPS", 1)
    if memory:
        monkeypatch.setattr(DivergenceClustering.__init__, "__kwdefaults__", {
            **DivergenceClustering.__init__.__kwdefaults__, "memory": str(tmp_path)
        })  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        WARNING[number]()
    assert caught
    assert {warning.category for warning in caught} <= {UserWarning, ConvergenceWarning}
    assert {(warning.filename, warning.lineno) for warning in caught} == {
        (__file__, WARNING[number].__code__.co_firstlineno)
    }


def test_a_warning_points_at_a_package_whose_name_begins_with_that_of_skdiv():
    file, found = f"{Path(skdiv.__file__).parent}_extras/warn.py", {}
    exec(compile("def warn(function):\n    function('Careful.')", file, "exec"), found)
    with pytest.warns(UserWarning, match="Careful") as caught:
        found["warn"](warn_caller)
    assert caught[0].filename == file


# --- Precision ---


def test_new_rows_take_the_precision_of_the_fitted():
    counts = np.random.default_rng(0).integers(1, 1000, (40, 12))
    for fitted, new in [(np.float32, np.float64), (np.float64, np.float32), (np.float32, np.int64)]:
        clustering = DivergenceClustering(4).fit(counts.astype(fitted))
        assert (clustering.transform(counts.astype(new)).min(axis=1) == 0).all()


def test_centres_of_many_rows_in_single_precision():
    rows = np.tile(np.array([[0.1, 0.2, 0.7]], dtype=np.float32), (200_000, 1))
    centre = centers_of(normalise(rows), None, np.zeros(200_000, dtype=int), 1, "mean")
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
