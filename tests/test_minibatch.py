"""Clustering by way of summaries: its account of the information, against sums over all rows; streams; scale."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from joblib import parallel_config
from scipy.special import rel_entr
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV

from skdiv import DivergenceClustering, MiniBatchDivergenceClustering, Significance, pairwise_divergences
from skdiv._input.distributions import Distributions
from skdiv.cluster import _collection, _minibatch, _prediction, _refinement, _summaries

COUNTS, LABELS = planted(800)
ATTRIBUTES = [
    "information_",
    "information_lost_compressing_",
    "information_lost_merging_",
    "information_regained_",
    "information_retained_",
]


def fitted(X, masses=None, n_clusters=3, **parameters):
    parameters = {"random_state": 0, **parameters}
    return MiniBatchDivergenceClustering(n_clusters, **parameters).fit(X, sample_weight=masses)


def streamed(batches, n_clusters=3, masses=None, **parameters):
    clustering = MiniBatchDivergenceClustering(n_clusters, random_state=0, **parameters)
    for k, batch in enumerate(batches):
        clustering.partial_fit(batch, sample_weight=None if masses is None else masses[k])
    return clustering


def normalised(X):
    dense = X.toarray() if sp.issparse(X) else np.asarray(X, dtype=np.float64)
    return dense / dense.sum(axis=1, keepdims=True)


def loss(P, masses, labels):
    """The weighted mean of KL(row ‖ weighted mean of its cluster), from the definition."""
    shares = masses / masses.sum()
    total = 0.0
    for label in np.unique(labels):
        rows, of_rows = P[labels == label], shares[labels == label]
        total += float(of_rows @ rel_entr(rows, of_rows @ rows / of_rows.sum()).sum(axis=1))
    return total


def beside_centers(P, masses, labels, centers):
    """The weighted mean of KL(row ‖ center of its cluster), from the definition."""
    return float(rel_entr(P, centers[labels]).sum(axis=1) @ masses / masses.sum())


def assert_account_adds_up(clustering, P, masses, labels=None):
    """What the attributes say is what sums over all rows say, whose clusters are ``labels``, or else ``labels_``."""
    total = loss(P, masses, np.zeros(len(P)))
    if labels is None:
        lost = beside_centers(P, masses, clustering.labels_, clustering.cluster_centers_)
    else:
        lost = loss(P, masses, labels)
    np.testing.assert_allclose(clustering.information_, total, rtol=1e-9)
    np.testing.assert_allclose(clustering.information_retained_, 1 - lost / total, rtol=1e-9, atol=1e-9)
    shares = clustering.summary_weights_ / clustering.summary_weights_.sum()
    summaries = normalised(clustering.summaries_)
    of_summaries = float(shares @ rel_entr(summaries, shares @ summaries).sum(axis=1))
    np.testing.assert_allclose(clustering.information_lost_compressing_, total - of_summaries, rtol=1e-9, atol=1e-12)
    losses = clustering.information_lost_compressing_ + clustering.information_lost_merging_
    np.testing.assert_allclose(losses - clustering.information_regained_, lost, rtol=1e-9, atol=1e-12)
    assert clustering.information_regained_ > -1e-12


# --- The account of the information ---


@pytest.mark.sampled(4)
@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("pseudocount", [0.0, 0.3])
@pytest.mark.parametrize("crowded", [0, 4])
def test_losses_are_those_of_sums_over_all_rows(container, pseudocount, crowded, monkeypatch):
    monkeypatch.setattr(_collection, "_CROWDED", crowded)
    X = random_distributions(900, 20, zeros=0.6)
    masses = np.random.default_rng(0).uniform(0.1, 5, 900)
    for n_summaries in (7, 60, 900):
        clustering = fitted(container(X), masses, 7, n_summaries=n_summaries, pseudocount=pseudocount)
        assert clustering.summary_weights_.size == n_summaries
        np.testing.assert_allclose(clustering.summary_weights_.sum(), masses.sum(), rtol=1e-12)
        assert_account_adds_up(clustering, normalised(X + pseudocount), masses)


def test_what_merging_loses_is_the_loss_of_the_cut_tree(monkeypatch):
    monkeypatch.setattr(_minibatch, "assigned", lambda clusters, rows, predictor: clusters)  # noqa: ARG005
    X = random_distributions(1500, 12)
    cut = fitted(X, n_clusters=6, n_summaries=80, refine=0)
    np.testing.assert_allclose(cut.information_regained_, 0, atol=1e-14)
    losses = cut.information_lost_compressing_ + cut.information_lost_merging_
    np.testing.assert_allclose(losses, loss(X, np.ones(1500), cut.labels_), rtol=1e-9)
    tree = DivergenceClustering(6, linkage="information")
    tree.fit(cut.summaries_, sample_weight=cut.summary_weights_)
    np.testing.assert_allclose(cut.information_lost_merging_, tree.distances_[:-5].sum(), rtol=1e-9)
    refined = fitted(X, n_clusters=6, n_summaries=80)
    assert refined.information_regained_ > 0.1 * refined.information_ * refined.information_retained_


def test_passes_never_increase_the_loss():
    X = random_distributions(700, 9, zeros=0.3)
    retained = [fitted(X, n_clusters=8, n_summaries=50, refine=refine).information_retained_ for refine in range(12)]
    assert (np.diff(retained) >= -1e-12).all()
    assert retained[1] > retained[0]


def test_converged_passes_end_where_every_row_is_at_its_nearest_center():
    X = random_distributions(700, 9, zeros=0.3)
    clustering = fitted(X, n_clusters=8, refine=300)
    np.testing.assert_array_equal(clustering.predict(X), clustering.labels_)
    for label in range(8):
        np.testing.assert_allclose(clustering.cluster_centers_[label], X[clustering.labels_ == label].mean(axis=0))


@pytest.mark.sampled(6)
@pytest.mark.parametrize("refine", [0, 1, 5])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sp.csr_array, pd.DataFrame])
def test_labels_are_what_predict_says_of_the_fitted_rows(container, dtype, refine, monkeypatch):
    """Also where some rows at a time are assigned, and where rows are equally near to two centers."""
    X = container(np.vstack([random_distributions(400, 8, zeros=0.3), np.eye(8), np.eye(8)]).astype(dtype))
    masses = np.random.default_rng(0).uniform(0.1, 5, 416)
    for part in (2**19, 2**6):
        monkeypatch.setattr(_prediction, "_PART", part)
        for settings in ({}, {"pseudocount": 0.1}, {"handle_empty": "label", "n_jobs": 2}):
            model = fitted(X, masses, 6, refine=refine, n_summaries=40, **settings)
            np.testing.assert_array_equal(model.labels_, model.predict(X))
            np.testing.assert_array_equal(model.partial_fit(X[:50]).labels_, model.predict(X[:50]))


@pytest.mark.parametrize("refine", [0, 1])
def test_the_information_that_is_lost_is_that_between_rows_and_nearest_centers(refine):
    X = random_distributions(900, 12)
    model = fitted(X, n_clusters=6, n_summaries=40, refine=refine, base=2)
    lost = (1 - model.information_retained_) * model.information_
    np.testing.assert_allclose(lost, model.transform(X).min(axis=1).mean(), rtol=1e-9)


def test_few_rows_are_their_own_summaries_as_in_the_full_tree():
    counts, _ = planted(20)
    ours = fitted(counts, counts.sum(axis=1), 4)
    full = DivergenceClustering(4, linkage="information", refine=5).fit(counts, sample_weight=counts.sum(axis=1))
    assert ours.information_lost_compressing_ == 0
    np.testing.assert_array_equal(ours.labels_, full.labels_)
    np.testing.assert_allclose(ours.cluster_centers_, full.cluster_centers_, rtol=1e-12)
    np.testing.assert_allclose(ours.information_, full.distances_.sum(), rtol=1e-9)


@pytest.mark.parametrize("base", [2, 10])
def test_units(base):
    nats, others = fitted(COUNTS), fitted(COUNTS, base=base)
    for name in ATTRIBUTES[:4]:
        np.testing.assert_allclose(getattr(others, name) * np.log(base), getattr(nats, name), rtol=1e-9, atol=1e-14)
    assert others.information_retained_ == nats.information_retained_
    np.testing.assert_allclose(others.transform(COUNTS) * np.log(base), nats.transform(COUNTS), rtol=1e-9)


def test_near_duplicates_lose_what_their_leading_terms_say():
    """At 1e-14 nats: clusters 1e-7 apart, whose rows differ by a tenth of it."""
    rng = np.random.default_rng(0)
    base, truth = random_distributions(1, 30)[0], rng.integers(0, 4, 3000)
    deviations = (rng.normal(size=(4, 30))[truth] + 0.1 * rng.normal(size=(3000, 30))) * 1e-7
    deviations -= deviations @ base[:, np.newaxis]
    P = base * (1 + deviations)
    clustering = fitted(P, n_clusters=4)
    assert adjusted_rand_score(truth, clustering.labels_) == 1
    about_mean = deviations - deviations.mean(axis=0)
    expected = (about_mean**2 @ base).mean() / 2
    np.testing.assert_allclose(clustering.information_, expected, rtol=1e-5)
    assert 0.95 < clustering.information_retained_ < 1


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_equal_rows_have_nothing_to_lose(container):
    clustering = fitted(container(np.tile(random_distributions(1, 9), (5000, 1))), n_clusters=4)
    assert clustering.information_ == 0
    assert clustering.information_retained_ == 1
    assert set(clustering.labels_) == {0}  # the first of equal centers
    assert clustering.n_clusters_ == 4


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_rows_without_a_common_bin_are_summarised_and_clustered(container):
    """Each is infinitely far from every summary and every center but its own."""
    X = np.repeat(np.eye(500), 4, axis=0)
    clustering = fitted(container(X), n_clusters=3, n_summaries=40)
    assert_account_adds_up(clustering, X, np.ones(2000))
    assert set(clustering.labels_) == {0, 1, 2}


def test_a_cluster_that_loses_its_rows_gets_the_row_that_loses_most():
    losses = np.array([0.1, 0.5, 0.2, 0.9, 0.3])  # The row that loses 0.9 is alone in its cluster.
    labels = _refinement._without_empty(np.array([0, 0, 0, 2, 0]), losses, 5)
    assert labels.tolist() == [0, 1, 4, 2, 3]
    assert _refinement._without_empty(np.array([0, 0, 0]), np.zeros(3), 3).tolist() == [1, 2, 0]


def test_a_row_moves_only_to_a_center_that_is_nearer():
    equal, labels = _collection.Collection(np.ones((9, 4)), np.ones(9)), np.arange(9) % 3
    np.testing.assert_array_equal(_refinement.refined(equal, labels, 3, 5), labels)


# --- The summaries ---


@pytest.mark.parametrize(("sparse", "apart"), [(False, 1e-7), (False, 1e-3), (False, 1), (True, 1e-3), (True, 1)])
def test_a_row_goes_to_the_seed_of_the_lowest_divergence(sparse, apart):
    """Also in single precision, and where all rows are near the mean."""
    rng = np.random.default_rng(0)
    base = random_distributions(1, 12)[0]
    P = normalised(base * (1 + apart * rng.uniform(-1, 1, (200, 12))) * (rng.random((200, 12)) > 0.2 * (apart == 1)))
    seeds, mean = P[:15], P.mean(axis=0)
    halves = (seeds + mean) / 2
    if apart == 1:
        scores = rel_entr(P[:, np.newaxis], halves).sum(axis=-1)
    else:  # the leading term, which holds its digits
        scores = ((P[:, np.newaxis] - halves) ** 2 / mean).sum(axis=-1) / 2
    factors = _summaries._factors(Distributions(sp.csr_array(seeds) if sparse else seeds), mean, sparse=sparse)
    part = _collection.Part(sp.csr_array(P) if sparse else P, 0.0, None)
    chosen = scores[np.arange(200), _summaries._nearest_seed(part, mean, factors)]
    np.testing.assert_allclose(chosen, scores.min(axis=1), rtol=1e-2 if apart < 1 else 1e-5)


def test_heavy_rows_are_seeds():
    X = random_distributions(3000, 8)
    masses = np.where(np.arange(3000) % 300 == 7, 1e9, 1)
    clustering = fitted(X, masses, n_clusters=10, n_summaries=10, refine=0)
    assert sorted(clustering.labels_[masses > 1]) == list(range(10))


# --- Quality ---


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, pd.DataFrame])
def test_planted_clusters_are_found_and_predicted(container, dtype):
    X = container(COUNTS.astype(dtype))
    clustering = fitted(X)
    assert adjusted_rand_score(LABELS, clustering.labels_) == 1
    np.testing.assert_array_equal(clustering.predict(X), clustering.labels_)
    assert clustering.transform(X).dtype == clustering.cluster_centers_.dtype == dtype
    expected = pairwise_divergences(COUNTS, clustering.cluster_centers_, "kl")
    np.testing.assert_allclose(clustering.transform(X), expected, rtol=1e-3 if dtype == np.float32 else 1e-9)


def test_single_precision_gives_the_account_of_the_same_numbers_in_double():
    X = random_distributions(800, 10).astype(np.float32)
    ours, expected = fitted(X, n_clusters=6), fitted(X.astype(np.float64), n_clusters=6)
    np.testing.assert_array_equal(ours.labels_, expected.labels_)
    for name in ATTRIBUTES:
        assert getattr(ours, name) == getattr(expected, name)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", ["planted", "dirichlet"])
@pytest.mark.parametrize("n_clusters", [5, 20])
def test_it_retains_what_the_refined_tree_of_all_rows_does(kind, n_clusters):
    X = planted(2000 // n_clusters, 30, n_clusters)[0] if kind == "planted" else random_distributions(2000, 30)
    full = DivergenceClustering(n_clusters, linkage="information", refine=5).fit(X)
    P, ones = normalised(X), np.ones(len(X))
    expected = 1 - loss(P, ones, full.labels_) / loss(P, ones, np.zeros(len(X)))
    assert fitted(X, n_clusters=n_clusters).information_retained_ > 0.95 * expected


def test_more_summaries_are_tried_until_they_gain_nothing():
    of_planted, of_flat = fitted(COUNTS), fitted(random_distributions(20_000, 8), n_clusters=10)
    assert len(of_planted.summary_weights_) <= 200
    assert len(of_flat.summary_weights_) in (100, 200, 400)
    assert len(fitted(COUNTS, n_summaries=17).summary_weights_) == 17


def test_a_row_of_weight_three_counts_as_three():
    times = np.random.default_rng(0).integers(1, 4, len(COUNTS))
    of_weights, of_copies = fitted(COUNTS, times), fitted(np.repeat(COUNTS, times, axis=0))
    np.testing.assert_allclose(of_weights.information_, of_copies.information_, rtol=1e-9)
    np.testing.assert_allclose(of_weights.information_retained_, of_copies.information_retained_, rtol=1e-9)
    assert adjusted_rand_score(np.repeat(of_weights.labels_, times), of_copies.labels_) == 1


@pytest.mark.parametrize("masses", [1e-95, 1e95])
def test_weights_of_any_size(masses):
    ours, expected = fitted(COUNTS, np.full(len(COUNTS), masses)), fitted(COUNTS)
    np.testing.assert_array_equal(ours.labels_, expected.labels_)
    np.testing.assert_allclose(ours.information_, expected.information_, rtol=1e-9)
    np.testing.assert_allclose(ours.information_retained_, expected.information_retained_, rtol=1e-9)


# --- Streams ---


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_stream_is_accounted_for_as_if_its_rows_were_there(container):
    X = random_distributions(900, 15, zeros=0.4)
    masses = np.random.default_rng(1).uniform(0.5, 2, 900)
    pieces = np.split(np.arange(900), [10, 300, 310, 700])
    clustering = streamed([container(X[piece]) for piece in pieces], 4, [masses[piece] for piece in pieces])
    np.testing.assert_allclose(clustering.information_, loss(X, masses, np.zeros(900)), rtol=1e-9)
    np.testing.assert_allclose(clustering.summary_weights_.sum(), masses.sum(), rtol=1e-12)
    shares, summaries = clustering.summary_weights_ / masses.sum(), normalised(clustering.summaries_)
    mean = shares @ summaries
    np.testing.assert_allclose(mean, masses @ X / masses.sum(), rtol=1e-12)
    compressed = clustering.information_ - shares @ rel_entr(summaries, mean).sum(axis=1)
    np.testing.assert_allclose(clustering.information_lost_compressing_, compressed, rtol=1e-9)
    # The centers are means of summaries, so the loss of the clusters is that of the summaries and of their labels.
    labels = pairwise_divergences(summaries, clustering.cluster_centers_, "kl").argmin(axis=1)
    lost = clustering.information_ * (1 - clustering.information_retained_)
    np.testing.assert_allclose(lost, compressed + loss(summaries, shares, labels), rtol=0.02)


def test_what_merging_summaries_of_a_stream_loses():
    X = random_distributions(900, 15)
    cut = streamed(np.split(X, 3), 6, n_summaries=50, refine=0)
    np.testing.assert_allclose(cut.information_regained_, 0, atol=1e-14)
    refined = streamed(np.split(X, 3), 6, n_summaries=50)
    assert refined.information_lost_merging_ == cut.information_lost_merging_
    assert refined.information_regained_ > 0
    shares = refined.summary_weights_ / 900
    labels = pairwise_divergences(refined.summaries_, refined.cluster_centers_, "kl").argmin(axis=1)
    kept = 1 - loss(normalised(refined.summaries_), shares, labels) / refined.information_
    assert refined.information_retained_ < kept


@pytest.mark.sampled(1)
@pytest.mark.parametrize("in_order", [True, False])
def test_a_stream_sorted_by_cluster_does_as_well_as_a_shuffled_one(in_order):
    X, truth = planted(250, 30, 12)
    order = np.argsort(truth, kind="stable") if in_order else np.arange(len(X))
    clustering = streamed(np.array_split(X[order], 15), 12)
    assert adjusted_rand_score(truth, clustering.predict(X)) == 1
    whole = fitted(X, n_clusters=12)
    np.testing.assert_allclose(clustering.information_, whole.information_, rtol=1e-9)
    assert clustering.information_retained_ > 0.99 * whole.information_retained_


def test_labels_after_a_batch_are_those_of_its_rows():
    clustering = streamed([COUNTS[:1000], COUNTS[1000:1300]])
    np.testing.assert_array_equal(clustering.labels_, clustering.predict(COUNTS[1000:1300]))


def test_a_stream_may_go_on_after_a_fit_and_keeps_no_rows():
    clustering = fitted(COUNTS[:1200]).partial_fit(COUNTS[1200:])
    assert clustering.summary_weights_.sum() == len(COUNTS)
    assert adjusted_rand_score(LABELS, clustering.predict(COUNTS)) == 1
    assert len(clustering.summaries_) <= 200


def test_batches_of_a_few_rows():
    clustering = streamed(np.array_split(COUNTS[:400], 100), n_summaries=20)
    assert len(clustering.summary_weights_) == 20
    assert adjusted_rand_score(LABELS[:400], clustering.predict(COUNTS[:400])) == 1


@pytest.mark.parametrize("in_order", [True, False])
def test_merged_estimators_are_those_of_all_rows(in_order):
    order = np.argsort(LABELS, kind="stable") if in_order else np.arange(len(COUNTS))
    one, two = fitted(COUNTS[order[:800]]), fitted(COUNTS[order[800:]], random_state=1)
    before = pickle.dumps(two)
    merged = one.merge(two)
    assert merged is one
    assert pickle.dumps(two) == before
    assert not hasattr(merged, "labels_")
    np.testing.assert_allclose(merged.information_, fitted(COUNTS).information_, rtol=1e-9)
    np.testing.assert_allclose(merged.information_retained_, fitted(COUNTS).information_retained_, rtol=1e-6)
    assert adjusted_rand_score(LABELS, merged.predict(COUNTS)) == 1


def test_sparse_and_dense_estimators_merge():
    X = random_distributions(600, 40, zeros=0.9)
    both = fitted(sp.csr_array(X[:300])).merge(fitted(X[300:]))
    np.testing.assert_allclose(both.information_, loss(X, np.ones(600), np.zeros(600)), rtol=1e-9)


# --- The same bits, the memory, and what is left as it was ---


@pytest.mark.exhaustive
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_the_same_bits_for_any_workers_and_backend(container, monkeypatch):
    monkeypatch.setattr("skdiv._compute.run._WORTH_WORKERS", 0)
    monkeypatch.setattr(_collection, "_CELL", 2**12)
    monkeypatch.setattr(_collection, "_TO_SUM", 2**12)
    monkeypatch.setattr(_summaries, "_SCORES", 2**13)
    X = container(random_distributions(3000, 17, zeros=0.85))

    def results(n_jobs):
        fit, stream = fitted(X, n_clusters=5, n_jobs=n_jobs), streamed([X[:900], X[900:]], 5, n_jobs=n_jobs)
        return [
            array
            for each in (fit, stream)
            for array in (each.labels_, each.cluster_centers_, *(getattr(each, name) for name in ATTRIBUTES))
        ]

    expected = results(1)
    for backend in ("threading", "loky"):
        with parallel_config(backend, n_jobs=3):
            for ours, theirs in zip(results(None), expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_the_same_seed_gives_the_same_result():
    X = random_distributions(2000, 10)
    one, same, other = (fitted(X, n_clusters=6, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.cluster_centers_, same.cluster_centers_)
    assert not np.array_equal(one.cluster_centers_, other.cluster_centers_)


@pytest.mark.exhaustive
def test_memory_is_a_few_numbers_a_row():
    """The rows take 31 MiB; a normalised copy would take as much, and all scores 76 MiB."""
    X = random_distributions(20_000, 200).copy()
    fitted(X[:2000], n_clusters=20)
    tracemalloc.start()
    fitted(X, n_clusters=20, n_summaries=500)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 26 * 2**20


def test_input_is_never_modified():
    X, masses = COUNTS.copy(), np.ones(len(COUNTS))
    for array in (X, masses):
        array.flags.writeable = False
    fitted(X, masses)
    sparse = sp.csr_array(COUNTS)
    before = sparse.data.copy(), sparse.indices.copy()
    fitted(sparse, masses)
    streamed([sparse], masses=[masses])
    np.testing.assert_array_equal(sparse.data, before[0])
    np.testing.assert_array_equal(sparse.indices, before[1])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_failed_fit_leaves_the_estimator_as_it_was(method):
    clustering = fitted(COUNTS)
    before = pickle.dumps(clustering)
    bad = COUNTS.copy()
    bad[1777, 3] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN: X\[1777, 3\] = nan"):
        getattr(clustering, method)(bad)
    assert pickle.dumps(clustering) == before


def test_a_batch_that_fails_late_draws_the_same_seeds_again(monkeypatch):
    clustering, before = streamed([COUNTS[:900]]), pickle.dumps(streamed([COUNTS[:900]]))
    with monkeypatch.context() as patch:
        patch.setattr(_minibatch, "clusters_of_summaries", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            clustering.partial_fit(COUNTS[900:])
    assert pickle.dumps(clustering) == before


def test_prediction_is_by_the_parameters_of_the_fit():
    clustering = fitted(COUNTS, pseudocount=1)
    distances = clustering.transform(COUNTS)
    clustering.set_params(n_clusters=2, base=2, pseudocount=0.0, handle_empty="label", refine=0)
    np.testing.assert_array_equal(clustering.transform(COUNTS), distances)


def test_names_of_columns():
    frame = pd.DataFrame(COUNTS, columns=[f"bin {k}" for k in range(30)])
    clustering = fitted(frame)
    assert clustering.feature_names_in_.tolist() == list(frame.columns)
    assert clustering.get_feature_names_out().tolist() == [f"minibatchdivergenceclustering{k}" for k in range(3)]
    assert clustering.set_output(transform="pandas").transform(frame).shape == (2400, 3)
    for reordered in (clustering.predict, clustering.partial_fit):
        with pytest.raises(ValueError, match="must be in the same order|in one order"):
            reordered(frame[frame.columns[::-1]])


# --- Refusals ---


@pytest.mark.parametrize("n_clusters", ["significant", Significance()])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_significance_is_refused_with_the_reason(n_clusters, method):
    with pytest.raises(ValueError, match="cannot be had of summaries: its test draws counts of single rows"):
        getattr(MiniBatchDivergenceClustering(n_clusters), method)(COUNTS)


@pytest.mark.parametrize(
    ("parameters", "X", "message"),
    [
        ({"n_clusters": 9}, COUNTS[:5], "n_clusters = 9 is more than the 5 rows"),
        ({"n_clusters": 9, "n_summaries": 8}, COUNTS, "n_summaries = 8 is less than n_clusters = 9"),
        ({"linkage": "ward"}, COUNTS, "'linkage' parameter"),
        ({}, COUNTS - 1, r"Negative values in data passed to X: X\["),
        ({}, COUNTS * (np.arange(2400) != 2000)[:, np.newaxis], r"X\[2000\] sums to 0"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_makes_no_sense_is_refused(parameters, X, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(MiniBatchDivergenceClustering(**parameters), method)(X)


def test_a_stream_is_refused_another_pseudocount_and_other_columns():
    clustering = fitted(COUNTS)
    with pytest.raises(ValueError, match="pseudocount = 1, but the rows so far were fitted with 0"):
        clone(clustering).fit(COUNTS).set_params(pseudocount=1).partial_fit(COUNTS)
    with pytest.raises(ValueError, match="29 features"):
        clustering.partial_fit(COUNTS[:, 1:])


def test_estimators_of_unlike_rows_do_not_merge():
    clustering = fitted(COUNTS)
    with pytest.raises(TypeError, match="must be a MiniBatchDivergenceClustering, but it is DivergenceClustering"):
        clustering.merge(DivergenceClustering())
    with pytest.raises(ValueError, match="other was fitted to 29 columns, and this estimator to 30"):
        clustering.merge(fitted(COUNTS[:, 1:]))
    with pytest.raises(ValueError, match="other was fitted with pseudocount = 1"):
        clustering.merge(fitted(COUNTS, pseudocount=1))
    frame = pd.DataFrame(COUNTS, columns=[f"bin {k}" for k in range(30)])
    with pytest.raises(ValueError, match="in one order; fit one of them again"):
        fitted(frame).merge(fitted(frame[frame.columns[::-1]]))


def test_a_row_that_belongs_to_no_cluster():
    X = np.repeat([[3.0, 1, 0], [1, 3, 0]], 200, axis=0)
    for handle_empty in ("error", "label"):
        clustering = fitted(X, n_clusters=2, handle_empty=handle_empty)
        if handle_empty == "error":
            with pytest.raises(ValueError, match=r"X\[1\] is infinitely far from every cluster"):
                clustering.predict([[1, 0, 0], [0, 0, 1]])
        else:
            assert clustering.predict([[1, 9, 0], [0, 0, 1], [0, 0, 0]]).tolist() == [clustering.labels_[-1], -1, -1]


# --- The score ---


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, pd.DataFrame])
def test_the_score_is_the_mean_of_one_minus_the_ratio_of_the_divergences_from_the_nearest_two_centers(container):
    clustering = fitted(container(COUNTS[:900]), n_clusters=4, base=2, n_jobs=2)
    P, centers = normalised(COUNTS[900:]), clustering.cluster_centers_
    a, b = np.sort([rel_entr(P, center).sum(axis=1) for center in centers], axis=0)[:2]
    np.testing.assert_allclose(clustering.score(container(COUNTS[900:])), np.mean(1 - a / b), rtol=1e-9)


def test_the_score_of_a_row_that_is_infinitely_far_or_at_its_center():
    clustering = fitted(np.repeat([[3.0, 1, 0, 0], [0, 0, 1, 3]], 200, axis=0), n_clusters=2)
    assert clustering.score([[3, 1, 0, 0], [1, 3, 0, 0]]) == 1  # the other center is infinitely far
    clustering = fitted(np.repeat([[3.0, 1, 0], [1, 3, 0]], 200, axis=0), n_clusters=2, handle_empty="label")
    assert clustering.score([[1, 1, 0]]) == pytest.approx(0, abs=1e-12)
    assert clustering.score([[3, 1, 0], [1, 3, 0], [0, 0, 1], [0, 0, 0]]) == pytest.approx(0.5, abs=1e-12)
    strict = fitted(np.repeat([[3.0, 1, 0], [1, 3, 0]], 200, axis=0), n_clusters=2)
    with pytest.raises(ValueError, match=r"X\[1\] is infinitely far from every cluster"):
        strict.score([[1, 0, 0], [0, 0, 1]])
    with pytest.raises(ValueError, match=r"X\[0\] sums to 0"):
        strict.score([[0, 0, 0]])


def test_the_score_of_one_cluster_is_0():
    assert fitted(COUNTS, n_clusters=1).score(COUNTS) == 0
    with pytest.raises(NotFittedError):
        MiniBatchDivergenceClustering().score(COUNTS)


@pytest.mark.parametrize("n_clusters", [2, 5])
def test_a_grid_search_without_a_scorer_finds_the_planted_number_of_clusters(n_clusters):
    X, _ = planted(150, n_clusters=n_clusters)
    search = GridSearchCV(MiniBatchDivergenceClustering(random_state=0), {"n_clusters": range(1, 8)}, cv=3).fit(X)
    assert search.best_params_ == {"n_clusters": n_clusters}
    assert search.best_score_ > 0.5


def test_summaries_that_do_not_fit_into_memory_are_refused(monkeypatch):
    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: 2**18)
    monkeypatch.setattr("skdiv._utils.memory._NEGLIGIBLE", 0)
    with pytest.raises(MemoryError, match="summaries of 30 bins needs"):
        fitted(COUNTS, n_summaries=2399, n_clusters=2)


def test_constants_of_growth_are_what_the_docstring_says():
    text = " ".join(MiniBatchDivergenceClustering.__doc__.split())
    assert f"takes {_minibatch._PER_CLUSTER} for each cluster and at least {_minibatch._LEAST}," in text
    assert f"fewer than {_minibatch._ROWS_OF_SUMMARY} rows each" in text


@pytest.mark.parametrize("refine", [0, 5])
def test_bins_without_mass_change_no_result(refine):
    """Of many columns only those that are used are computed with, and all results are of all columns."""
    rng = np.random.default_rng(0)
    few = sp.csr_array(rng.multinomial(30, [0.4, 0.3, 0.2, 0.05, 0.05], size=150) + np.eye(5)[rng.integers(0, 5, 150)])
    used = np.sort(rng.choice(20_000, 5, replace=False))
    many = sp.csr_array((few.data, used[few.indices], few.indptr), shape=(150, 20_000))
    ours, expected = (fitted(X, n_clusters=4, n_summaries=30, refine=refine) for X in (many, few))
    np.testing.assert_array_equal(ours.labels_, expected.labels_)
    np.testing.assert_array_equal(ours.labels_, ours.predict(many))
    np.testing.assert_allclose(ours.cluster_centers_[:, used], expected.cluster_centers_, rtol=1e-12)
    assert ours.cluster_centers_.sum() == pytest.approx(4)
    assert ours.summaries_.shape == (30, 20_000)
    for name in ATTRIBUTES:
        np.testing.assert_allclose(getattr(ours, name), getattr(expected, name), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.transform(many), expected.transform(few), rtol=1e-9)
    assert ours.partial_fit(many).labels_.shape == (150,)
