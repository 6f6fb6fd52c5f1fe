"""The model at work: cut again, scored, shown, stored, and how large it is."""

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from sklearn import config_context
from sklearn.cluster import AgglomerativeClustering
from sklearn.exceptions import NotFittedError
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV

from skdiv import DivergenceClustering, Significance, pairwise_divergences, renyi

X = random_distributions(60, 12, seed=3)
COUNTS, LABELS = planted(12, n_clusters=5)
FEW, _ = planted(3)
GRID = sp.csr_array(np.eye(60, k=1) + np.eye(60, k=-1))

# --- Cutting the tree again ---

CUTS = [
    {},
    {"linkage": "complete", "metric": "total_variation"},
    {"linkage": "single"},
    {"linkage": "information"},
    {"metric": "kl", "symmetrize": "max", "pseudocount": 0.1},
    {"metric": "precomputed"},
    {"connectivity": GRID},
    {"assign": "center"},
]


@pytest.mark.parametrize("params", CUTS, ids=str)
def test_a_cut_has_the_labels_of_a_fresh_fit(params):
    rows = pairwise_divergences(X) if params.get("metric") == "precomputed" else X
    clustering = DivergenceClustering(3, **params).fit(rows)
    before = dict(vars(clustering))
    for n_clusters in (1, 2, 7, np.int64(60)):
        fresh = DivergenceClustering(n_clusters, **params).fit(rows)
        np.testing.assert_array_equal(clustering.cut(n_clusters), fresh.labels_)
    for threshold in (0, clustering.distances_[40], clustering.distances_[-1], 100.0):
        fresh = DivergenceClustering(None, distance_threshold=threshold, **params).fit(rows)
        np.testing.assert_array_equal(clustering.cut(distance_threshold=threshold), fresh.labels_)
    assert vars(clustering) == before


def test_a_cut_is_that_of_scikit_learn():
    D = pairwise_divergences(X)
    theirs = AgglomerativeClustering(9, metric="precomputed", linkage="average").fit(D)
    np.testing.assert_array_equal(DivergenceClustering(2, metric="precomputed").fit(D).cut(9), theirs.labels_)


def test_a_cut_is_that_of_the_tree_whatever_refine_has_moved():
    refined = DivergenceClustering(6, linkage="information", refine=20).fit(COUNTS)
    tree = DivergenceClustering(6, linkage="information").fit(COUNTS)
    np.testing.assert_array_equal(refined.cut(6), tree.labels_)


REFUSED = [
    ({}, ValueError, "Exactly one of n_clusters and distance_threshold has to be passed; got n_clusters = None"),
    ({"n_clusters": 2, "distance_threshold": 0.1}, ValueError, "Exactly one"),
    ({"n_clusters": 0}, ValueError, "n_clusters == 0, must be >= 1"),
    ({"n_clusters": 61}, ValueError, "n_clusters == 61, must be <= 60"),
    ({"n_clusters": 2.0}, TypeError, "n_clusters must be an instance of int"),
    ({"n_clusters": Significance()}, TypeError, "n_clusters must be an instance of int"),
    ({"distance_threshold": -1}, ValueError, "distance_threshold = -1 must be a number from 0 on"),
    ({"distance_threshold": np.nan}, ValueError, "distance_threshold = nan must be"),
    ({"distance_threshold": "far"}, TypeError, "distance_threshold must be an instance of float"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_no_place_to_cut_is_refused(arguments, error, message):
    clustering = DivergenceClustering().fit(X)
    with pytest.raises(error, match=message):
        clustering.cut(**arguments)


@pytest.mark.parametrize("method", ["cut", "score"])
def test_only_a_fitted_model_is_cut_or_scored(method):
    with pytest.raises(NotFittedError):
        getattr(DivergenceClustering(), method)(2)


# --- The score ---


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"metric": "kl", "symmetrize": "max", "pseudocount": 0.5},
        {"metric": renyi(0.5), "assign": "center"},
        {"linkage": "information", "base": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array, pd.DataFrame])
def test_the_score_is_the_silhouette_of_the_predicted_labels(params, convert):
    clustering = DivergenceClustering(4, **params).fit(convert(COUNTS[:40]))
    new = convert(COUNTS[20:])
    D = pairwise_divergences(new, metric=params.get("metric", "js_distance"), pseudocount=clustering.pseudocount)
    expected = silhouette_score(np.maximum(D, D.T), clustering.predict(new), metric="precomputed")
    assert clustering.score(new) == pytest.approx(expected, rel=1e-9)
    assert clustering.set_params(metric="hellinger", symmetrize="min").score(new) == pytest.approx(expected, rel=1e-9)


def test_a_grid_search_without_a_scorer_finds_the_planted_number_of_clusters():
    search = GridSearchCV(DivergenceClustering(), {"n_clusters": range(1, 8)}).fit(COUNTS)
    assert search.best_params_ == {"n_clusters": 5}
    assert search.best_score_ > 0.5


def test_a_grid_search_over_distances_scores_what_it_fits():
    rows = np.arange(len(COUNTS))
    D = pairwise_divergences(COUNTS)
    model = DivergenceClustering(metric="precomputed")
    search = GridSearchCV(model, {"n_clusters": range(2, 8)}, cv=[(rows, rows)]).fit(D)
    assert search.best_params_ == {"n_clusters": 5}
    expected = silhouette_score(D, search.best_estimator_.labels_, metric="precomputed")
    assert search.best_score_ == pytest.approx(expected)


def test_distances_from_new_rows_do_not_tell_how_far_these_are_apart():
    D = pairwise_divergences(COUNTS)
    clustering = DivergenceClustering(5, metric="precomputed").fit(D)
    with pytest.raises(ValueError, match=r"got X of shape \(9, 60\).*cv=\[\(rows, rows\)\]"):
        clustering.score(D[:9])
    with pytest.raises(ValueError, match="is not symmetric"):
        clustering.score(np.triu(D))


@pytest.mark.parametrize("n_clusters", [1, 60])
def test_the_score_is_0_where_there_is_nothing_to_compare(n_clusters):
    assert DivergenceClustering(n_clusters).fit(COUNTS).score(COUNTS) == 0


def test_a_score_of_rows_infinitely_far_apart_is_refused():
    clustering = DivergenceClustering(2, metric="kl", handle_empty="label").fit([[1, 1, 1], [1, 2, 1], [3, 2, 1]])
    with pytest.raises(ValueError, match=r"infinite between X\[0\] and X\[1\]"):
        clustering.score([[1, 0, 1], [0, 1, 1], [1, 1, 0]])
    with pytest.raises(ValueError, match=r"X\[1\] sums to 0"):
        clustering.score([[1, 1, 1], [0, 0, 0]])


# --- What a notebook shows ---


def html_of(clustering):
    return clustering._repr_html_(), clustering._repr_mimebundle_()["text/html"]


def test_a_notebook_shows_what_was_found():
    frame = pd.DataFrame(COUNTS, columns=[f"<b>{k}</b>" for k in range(30)])
    clustering = DivergenceClustering(5).fit(frame)
    for html in html_of(clustering):
        report = html[html.index('<div class="skdiv-report">') :]
        assert "5 clusters of 60 rows by js_distance, linkage ward." in report
        assert f"The last of 55 merges is at {clustering.distances_[54]:.4g}" in report
        assert f"the next would be at {clustering.distances_[55]:.4g}" in report
        assert report.count("<tr>") == 6
        assert "<b>" not in report
        for label, center in enumerate(clustering.cluster_centers_):
            bin_ = int(center.argmax())
            assert (
                f"<tr><td>{label}</td><td>12</td><td>20.0%</td><td>&lt;b&gt;{bin_}&lt;/b&gt; {center[bin_]:.1%}"
                in report
            )


REPORTS = [
    ({"n_clusters": 1}, COUNTS, "1 cluster of 60 rows by js_distance, linkage ward. The last of 59 merges is at"),
    ({"n_clusters": 60}, COUNTS, "60 clusters of 60 rows by js_distance, linkage ward.</p>"),
    ({"metric": "precomputed"}, pairwise_divergences(COUNTS), "2 clusters of 60 rows by precomputed, linkage average."),
    ({"n_clusters": 60}, COUNTS, "and 40 smaller ones, of 40 rows"),
]


@pytest.mark.parametrize(("params", "rows", "expected"), REPORTS)
def test_the_report_says_how_the_tree_was_cut(params, rows, expected):
    html, _ = html_of(DivergenceClustering(**params).fit(rows))
    assert expected in html


def test_the_report_says_how_many_nodes_were_significant():
    clustering = DivergenceClustering(Significance(n_resamples=39, random_state=0)).fit(FEW)
    tested = np.isfinite(clustering.node_pvalues_).sum()
    expected = f"linkage ward. {tested} nodes of the tree tested, {clustering.n_clusters_ - 1} of them significant."
    assert expected in html_of(clustering)[0]


def test_the_report_says_how_much_information_is_retained():
    clustering = DivergenceClustering(5, linkage="information").fit(COUNTS)
    assert f"retains {clustering.information_curve_[1][4]:.1%} of the information" in html_of(clustering)[0]


def test_there_is_no_report_before_a_fit_or_where_text_is_asked_for():
    assert "skdiv-report" not in html_of(DivergenceClustering())[0]
    with config_context(display="text"):
        clustering = DivergenceClustering().fit(X)
        assert not hasattr(clustering, "_repr_html_")
        assert clustering._repr_mimebundle_() == {"text/plain": "DivergenceClustering()"}


# --- Stored and loaded ---


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def through_skops(model):
    import skops.io

    data = skops.io.dumps(model)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


STORED = [
    ({}, np.asarray),
    ({"assign": "center", "linkage": "information"}, sp.csr_array),
    ({"metric": "kl", "pseudocount": 0.5}, sp.csr_array),
    ({"n_clusters": Significance(n_resamples=39, random_state=0)}, pd.DataFrame),
]


@pytest.mark.parametrize(
    "through", [through_pickle, through_joblib, pytest.param(through_skops, marks=pytest.mark.exhaustive)]
)
@pytest.mark.parametrize(("params", "convert"), STORED, ids=lambda value: str(value)[:30])
def test_a_stored_model_predicts_scores_and_is_cut_as_before(through, params, convert):
    rows = convert(FEW)
    model = DivergenceClustering(**params).fit(rows)
    again = through(model)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    np.testing.assert_array_equal(again.transform(rows), model.transform(rows))
    np.testing.assert_array_equal(again.cut(4), model.cut(4))
    assert again.score(rows) == model.score(rows)
    assert again._repr_html_()[-400:] == model._repr_html_()[-400:]
    np.testing.assert_array_equal(again.fit(rows).labels_, model.labels_)


# --- The size ---


def expected_size(model, rows, of_row):
    """What the docstring says; the rest, of some kilobytes, does not grow with the data."""
    itemsize = model.cluster_centers_.itemsize
    kept = 0
    if model.assign == "member":
        of_entries = rows.nnz * (itemsize + 4) if sp.issparse(rows) else rows.size * itemsize
        kept = 8 * model.n_leaves_ + of_entries
    return of_row * model.n_leaves_ + itemsize * model.cluster_centers_.size + kept


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(("linkage", "of_row"), [("auto", 64), ("information", 80)])
@pytest.mark.parametrize("assign", ["member", "center"])
def test_a_pickle_is_as_large_as_the_docstring_says(assign, linkage, of_row, convert, dtype):
    rows = convert(random_distributions(400, 50, zeros=0.5).astype(dtype))
    model = DivergenceClustering(30, linkage=linkage, assign=assign).fit(rows)
    assert len(pickle.dumps(model)) == pytest.approx(expected_size(model, rows, of_row) + 5000, rel=0.1)
