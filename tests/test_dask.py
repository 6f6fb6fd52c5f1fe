"""Clustering and queries on Dask collections: the bits of a plain loop over the same blocks, whoever computes them."""

import pickle

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from numpy.random import RandomState
from scipy.special import rel_entr
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

import skdiv
from skdiv import DivergenceClustering
from skdiv.cluster import _blocks
from skdiv.dask import (
    MiniBatchDivergenceClustering,
    divergences_within,
    from_npy,
    nearest_divergences,
    predict,
    transform,
)
from skdiv.dask._graph import Blocks
from skdiv.embedding import DivergenceEmbedding

COUNTS, LABELS = planted(400)
N, N_BINS = COUNTS.shape
MASSES = np.random.default_rng(5).integers(1, 9, N).astype(float)
SCATTERED = random_distributions(900, 12, zeros=0.2)
SIZES = (500, 120, 200, 380)


@pytest.fixture(autouse=True)
def _synchronous():
    with dask.config.set(scheduler="synchronous"):
        yield


def in_blocks(X, sizes=SIZES):
    return da.from_array(X, chunks=(sizes, X.shape[1]))


def csr_blocks(X, sizes=SIZES):
    return in_blocks(X, sizes).map_blocks(sp.csr_array)


def frame_of(X, n_blocks=4):
    frame = pd.DataFrame(X, columns=[f"bin {k}" for k in range(X.shape[1])])
    return dd.from_pandas(frame, npartitions=n_blocks)


def fitted(X, masses=None, n_clusters=3, **parameters):
    parameters = {"n_summaries": 40, **parameters}
    return MiniBatchDivergenceClustering(n_clusters, random_state=0, **parameters).fit(X, sample_weight=masses)


def called(function, *arguments):
    return function(*arguments)


def in_a_loop(X, masses=None, n_clusters=3, **parameters):
    """What `fit` does, in plain Python over blocks that are in memory."""
    estimator = MiniBatchDivergenceClustering(n_clusters, random_state=0, **{"n_summaries": 40, **parameters})
    blocks = Blocks.of(X)
    parts = [part.compute() for part in blocks.parts]
    splits = np.cumsum([part.shape[0] for part in parts])[:-1]
    weights = [None] * len(parts) if masses is None else np.split(masses, splits)
    seeds = RandomState(RandomState(0).randint(2**31 - 1)).randint(2**31 - 1, size=len(parts))
    opened = _blocks.opened_blocks(called, clone(estimator), blocks.expected, parts, weights)
    most = estimator.n_summaries or 100
    learned, clusters = _blocks.clustered(called, opened, most, n_clusters, estimator.refine, seeds, None)
    found = {**learned, **estimator._of_clusters(clusters, blocks.expected.dtype)}
    for name, value in found.items():
        setattr(estimator, name, value)
    labels = [skdiv.MiniBatchDivergenceClustering.predict(estimator, part) for part in parts if part.shape[0]]
    return {**found, "labels_": np.concatenate(labels)}


def bits(value):
    if sp.issparse(value):
        return bits([value.data, value.indices, value.indptr])
    if isinstance(value, list):
        return [bits(each) for each in value]
    array = np.asarray(value)
    return array.tolist() if array.dtype == object else array.tobytes()


def assert_same_bits(clustering, expected):
    names = [name for name in expected if name.endswith("_") and not name.startswith("_")]
    assert len(names) >= 10
    for name in names:
        assert bits(getattr(clustering, name)) == bits(expected[name]), name


def normalised(X):
    return X / X.sum(axis=1, keepdims=True)


def loss(P, masses, labels):
    """The weighted mean of KL(row ‖ weighted mean of its cluster), from the definition."""
    shares, total = masses / masses.sum(), 0.0
    for label in np.unique(labels):
        rows, of_rows = P[labels == label], shares[labels == label]
        total += float(of_rows @ rel_entr(rows, of_rows @ rows / of_rows.sum()).sum(axis=1))
    return total


# --- The same bits, whoever computes ---------------------------------------------------------------------------------

COLLECTIONS = {
    "dense": (in_blocks(COUNTS), {}),
    "sparse": (csr_blocks(COUNTS), {}),
    "single precision": (in_blocks(COUNTS.astype(np.float32)), {}),
    "sparse in single precision": (csr_blocks(COUNTS.astype(np.float32)), {}),
    "frame": (frame_of(COUNTS), {}),
    "weights": (in_blocks(COUNTS), {"masses": MASSES}),
    "pseudocount": (in_blocks(COUNTS), {"pseudocount": 0.5}),
    "sparse with a pseudocount": (csr_blocks(COUNTS), {"pseudocount": 0.5, "base": 2}),
    "few summaries": (in_blocks(COUNTS, (300,) * 4), {"n_summaries": 10, "refine": 2}),
    "no pass": (in_blocks(COUNTS), {"refine": 0}),
    "summaries by default": (in_blocks(COUNTS), {"n_summaries": None}),
    "one block": (in_blocks(COUNTS, (N,)), {}),
    "many blocks": (in_blocks(COUNTS, (60,) * 20), {"n_summaries": 20, "n_clusters": 4}),
    "very sparse": (csr_blocks(np.eye(200)[np.arange(N) % 200] + np.eye(200)[np.arange(N) // 7]), {"n_clusters": 20}),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_fit_has_the_bits_of_a_loop_over_the_blocks(name):
    X, options = COLLECTIONS[name]
    clustering = fitted(X, **options)
    assert isinstance(clustering.labels_, da.Array)
    assert_same_bits(clustering, in_a_loop(X, **options))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["dense", "sparse", "frame", "weights", "many blocks"])
def test_a_cluster_of_processes_gives_the_same_bits(name, dask_client):
    X, options = COLLECTIONS[name]
    with dask_client.as_current(), dask.config.set(scheduler=None):
        clustering = fitted(X, **options)
        clustering.labels_ = clustering.labels_.compute()
    assert_same_bits(clustering, in_a_loop(X, **options))


def test_threads_give_the_same_bits():
    X, options = COLLECTIONS["many blocks"]
    with dask.config.set(scheduler="threads", num_workers=4):
        assert_same_bits(fitted(X, **options), in_a_loop(X, **options))


def test_counts_stand_for_the_totals():
    by_name, by_value = (fitted(in_blocks(COUNTS), masses) for masses in ("counts", COUNTS.sum(axis=1)))
    np.testing.assert_array_equal(by_name.cluster_centers_, by_value.cluster_centers_)
    with pytest.raises(ValueError, match=r"In block \d of X: sample_weight = 'totals' must be 'counts' or a vector"):
        fitted(in_blocks(COUNTS), "totals")


def test_a_fit_is_one_graph_that_is_computed_once(monkeypatch):
    computed = []
    monkeypatch.setattr("skdiv.dask._graph.Delayed.compute", lambda self: computed.append(self) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fitted(in_blocks(COUNTS), refine=3)
    (graph,) = computed
    names = [str(key).split("-")[0] for key in dict(graph.dask)]
    tasks = ("opened", "piece_of", "merged", "sums_of", "added", "after_pass", "after_last_pass")
    assert [names.count(name) for name in tasks] == [4, 4, 2, 16, 4, 3, 1]


def test_what_leaves_a_block_is_small():
    """Sums and summaries, whose size does not depend on the number of rows."""
    sizes = {}

    def measured(function, *arguments):
        result = function(*arguments)
        sizes.setdefault(function.__name__, []).append(len(pickle.dumps(result)))
        return result

    X = np.tile(COUNTS, (20, 1))
    blocks = Blocks.of(in_blocks(X, (N * 10, N * 10)))
    parts = [part.compute() for part in blocks.parts]
    estimator = MiniBatchDivergenceClustering(3)
    opened = _blocks.opened_blocks(measured, estimator, blocks.expected, parts, [None, None])
    _blocks.clustered(measured, opened, 50, 3, 2, [0, 1], None)
    assert min(sizes.pop("opened")) > 8 * X.size / 2
    assert max(map(max, sizes.values())) < 50 * N_BINS * 8 * 3


def test_dask_is_told_how_large_a_block_is():
    blocks = Blocks.of(in_blocks(COUNTS, (N,)))
    for X in (COUNTS, sp.csr_array(COUNTS)):
        block = _blocks.opened(MiniBatchDivergenceClustering(3), blocks.expected, 0, X, None)
        size = X.nbytes if isinstance(X, np.ndarray) else X.data.nbytes
        assert size < dask.sizeof.sizeof(block) < 2 * size + 32 * N


# --- What the clusters are -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [np.argsort(LABELS, kind="stable"), np.arange(N)], ids=["sorted", "shuffled"])
def test_planted_clusters_are_found_in_blocks_of_any_order(order):
    clustering = fitted(in_blocks(COUNTS[order], (100,) * 12), n_summaries=30)
    assert adjusted_rand_score(LABELS[order], clustering.labels_.compute()) > 0.99


@pytest.mark.parametrize("masses", [None, MASSES[:900]], ids=["equal", "weighted"])
@pytest.mark.parametrize("refine", [0, 1, 2, 50])
def test_the_account_is_that_of_sums_over_all_rows(masses, refine):
    clustering = fitted(in_blocks(SCATTERED, (300,) * 3), masses, 8, n_summaries=40, refine=refine)
    labels, masses = clustering.labels_.compute(), np.ones(900) if masses is None else masses
    total, lost = loss(SCATTERED, masses, np.zeros(900)), beside_centers(SCATTERED, masses, clustering)
    assert bits(labels) == bits(clustering.predict(in_blocks(SCATTERED, (300,) * 3)))
    np.testing.assert_allclose(clustering.information_, total, rtol=1e-9)
    np.testing.assert_allclose(clustering.information_retained_, 1 - lost / total, rtol=1e-9)
    parts = clustering.information_lost_compressing_ + clustering.information_lost_merging_
    np.testing.assert_allclose(parts - clustering.information_regained_, lost, rtol=1e-9)
    if refine == 50:
        means = [np.average(SCATTERED[labels == k], axis=0, weights=masses[labels == k]) for k in range(8)]
        np.testing.assert_allclose(clustering.cluster_centers_, means, rtol=1e-9, atol=1e-15)


def beside_centers(P, masses, clustering):
    """The weighted mean of the lowest KL(row ‖ center), from the definition."""
    losses = np.stack([rel_entr(P, center).sum(axis=1) for center in clustering.cluster_centers_])
    return float(losses.min(axis=0) @ masses / masses.sum())


def test_passes_retain_more_and_end_where_nothing_changes():
    X = in_blocks(SCATTERED, (300,) * 3)
    retained = [fitted(X, n_clusters=8, n_summaries=40, refine=k).information_retained_ for k in range(6)]
    assert np.all(np.diff(retained) > 0)
    settled = [fitted(X, n_clusters=8, n_summaries=40, refine=k) for k in (100, 101)]
    assert settled[0].cluster_centers_.tobytes() == settled[1].cluster_centers_.tobytes()
    assert bits(settled[0].predict(X)) == bits(settled[0].labels_)


def test_blocks_keep_as_much_information_as_memory_does():
    whole = skdiv.MiniBatchDivergenceClustering(8, random_state=0, refine=30).fit(SCATTERED)
    blocks = fitted(in_blocks(SCATTERED, (150,) * 6), n_clusters=8, refine=30)
    assert blocks.information_retained_ > 0.95 * whole.information_retained_


def test_no_cluster_is_left_without_rows():
    """Equal rows are nearest to the first of equal centers, and three of six clusters would be empty."""
    X = np.repeat(np.eye(4)[:3] + 0.1, [5, 40, 15], axis=0)
    for sizes in [(60,), (20, 20, 20), (7, 1, 52)]:
        for refine in (1, 2, 3):
            for blocks in (in_blocks(X, sizes), csr_blocks(X, sizes)):
                clustering = fitted(blocks, n_clusters=6, refine=refine)
                means, own = clustering.cluster_centers_, clustering.labels_.compute()
                assert means.shape == (6, 4)
                assert np.abs(means[:, np.newaxis] - normalised(X)).sum(axis=2).min(axis=1).max() < 1e-12
                np.testing.assert_allclose(means[own], normalised(X), rtol=1e-12)
                np.testing.assert_allclose(clustering.information_retained_, 1)


@pytest.mark.parametrize("sizes", [(900,), (10, 800, 90), (90,) * 10])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_a_cluster_without_rows_gets_the_row_that_loses_the_most(sizes, kind):
    """As in memory, however the rows are cut into blocks."""
    rng = np.random.default_rng(3)
    rows, masses = rng.dirichlet(np.ones(12), 900), rng.integers(1, 5, 900).astype(float)
    centers = _blocks.normalise(np.vstack([rows.mean(axis=0), np.eye(12)[:3]]))
    blocks = Blocks.of(in_blocks(rows, sizes))
    parts = [part.compute() for part in blocks.parts]
    opened = _blocks.opened_blocks(
        called, MiniBatchDivergenceClustering(4), blocks.expected, [kind(part) for part in parts],
        np.split(masses, np.cumsum(sizes)[:-1]),
    )  # fmt: skip
    state = _blocks.State(centers, 0.0)
    sums = [_blocks.sums_of(block, state, k) for k, block in enumerate(opened)]
    found = _blocks.added(_blocks.added(*sums[:3]), *sums[3:])
    after, moves = _blocks.after_pass(state, found, None), _blocks._without_empty(found)[1]
    worst = np.argsort(-masses * rel_entr(rows, rows.mean(axis=0)).sum(axis=1))[:3]
    labels = np.zeros(900)
    labels[worst] = 1, 2, 3
    starts = np.concatenate([[0], np.cumsum(sizes)])
    assert [(starts[block] + row, cluster) for block, row, cluster in moves] == list(zip(worst, (1, 2, 3), strict=True))
    np.testing.assert_allclose(after.lost / masses.sum(), loss(rows, masses, labels), rtol=1e-9)


# --- Rows that are empty or wrong ------------------------------------------------------------------------------------


def test_empty_blocks_add_nothing():
    frame = frame_of(COUNTS, 6).map_partitions(lambda part: part.iloc[: len(part) * (part.index[0] % 400 != 0)])
    sizes = frame.map_partitions(len).compute().tolist()
    assert sizes.count(0) == 3
    clustering = fitted(frame)
    assert_same_bits(clustering, in_a_loop(frame))
    rows = frame.compute()
    assert bits(clustering.predict(frame)) == bits(clustering.predict(rows))
    assert bits(clustering.transform(frame)) == bits(clustering.transform(rows))
    assert clustering.labels_.compute().shape == (sum(sizes),)
    for ours, expected in zip(
        nearest_divergences(frame, rows, 3), skdiv.nearest_divergences(rows, rows, 3), strict=True
    ):
        np.testing.assert_array_equal(ours.compute(), expected)


def with_entry(row, column, value):
    X = COUNTS.astype(float)
    X[row, column] = value
    return X


def without_row(row):
    X = COUNTS.astype(float)
    X[row] = 0
    return X


BAD = {
    "negative": (in_blocks(with_entry(530, 2, -1)), {}, ValueError, r"In block 1 of X: Negative .*X\[30, 2\] = -1"),
    "NaN": (in_blocks(with_entry(499, 0, np.nan)), {}, ValueError, r"In block 0 of X: .*NaN: X\[499, 0\] = nan"),
    "empty": (csr_blocks(without_row(900)), {}, ValueError, r"In block 3 of X: X\[80\] sums to 0"),
    "frame": (frame_of(without_row(301)), {}, ValueError, r"In block 1 of X: X\[1\] \(301\) sums to 0"),
    "weight": (
        in_blocks(COUNTS), {"masses": np.where(np.arange(N) == 620, -1.0, 1.0)},
        ValueError, r"In block 2 of X: sample_weight\[0\] = -1.0, but a weight must be",
    ),
    "too few weights": (
        in_blocks(COUNTS), {"masses": MASSES[1:]}, ValueError,
        r"sample_weight must be a vector of one weight .* shape is \(1199,\), in 1 blocks",
    ),
    "weights in other partitions": (
        frame_of(COUNTS), {"masses": dd.from_pandas(pd.Series(MASSES), npartitions=2)}, ValueError,
        "in the 4 blocks of X, but its length is not known, in 2 blocks",
    ),
    "table of weights": (in_blocks(COUNTS), {"masses": da.ones((N, 2))}, ValueError, "sample_weight must be a vector"),
    "weights in memory": (
        frame_of(COUNTS), {"masses": MASSES}, ValueError, "sample_weight is in memory, but how many rows .* not known",
    ),
    "weights of a block": (
        frame_of(COUNTS), {"masses": da.ones(N, chunks=(SIZES,))},
        ValueError, r"In block \d of X: sample_weight must be a vector of one weight for each of the 300 rows",
    ),
    "columns in blocks": (
        da.from_array(COUNTS, chunks=(100, 10)), {}, ValueError, r"3 blocks of columns, .* pass X.rechunk\({1: -1}\)",
    ),
    "one dimension": (da.ones(7), {}, ValueError, "X has 1 dimensions"),
    "columns unknown": (da.from_delayed(dask.delayed(COUNTS), (np.nan, np.nan), float), {}, ValueError, "number of"),
    "another width": (
        da.from_delayed(dask.delayed(COUNTS), (N, 7), float), {}, ValueError, "In block 0 of X: it has 30 columns, but",
    ),
    "bag": (db.from_sequence([1, 2]), {}, TypeError, "X is a Bag. Pass a dask.array in blocks of rows"),
    "series": (frame_of(COUNTS)["bin 0"], {}, TypeError, "X is a Series. Pass a dask.array in blocks of rows"),
    "delayed": (dask.delayed(COUNTS), {}, TypeError, "X is a Delayed.*. Pass a dask.array in blocks of rows"),
    "text": (
        dd.from_pandas(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), npartitions=1), {"n_clusters": 1},
        TypeError, "In block 0 of X: Column 'b' of X has dtype",
    ),
    "too many clusters": (in_blocks(COUNTS[:6], (2, 4)), {"n_clusters": 7}, ValueError, "n_clusters = 7 .* 6 rows"),
    "no rows": (in_blocks(COUNTS[:0], (0,)), {}, ValueError, "X has no rows: all its blocks are empty"),
    "too few summaries": (in_blocks(COUNTS), {"n_summaries": 2}, ValueError, "n_summaries = 2 is less than n_clusters"),
    "a test": (in_blocks(COUNTS), {"n_clusters": skdiv.Significance()}, ValueError, "cannot be had of summaries"),
    "parameter": (in_blocks(COUNTS), {"refine": -1}, ValueError, "The 'refine' parameter"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_fitted_is_refused_and_the_estimator_left_as_it_was(name):
    X, options, error, message = BAD[name]
    clustering = fitted(in_blocks(COUNTS[:50], (50,)))
    state = dict(vars(clustering))
    options = dict(options)
    masses = options.pop("masses", None)
    clustering.set_params(**options)
    with pytest.raises(error, match=message):
        clustering.fit(X, sample_weight=masses)
    clustering.set_params(**{name: state[name] for name in options})
    assert all(vars(clustering)[name] is value for name, value in state.items())


@pytest.mark.exhaustive
def test_a_cluster_names_the_row_too(dask_client):
    refused = pytest.raises(ValueError, match=r"In block 1 of X: Negative .*X\[30, 2\] = -1")
    with dask_client.as_current(), dask.config.set(scheduler=None), refused:
        fitted(BAD["negative"][0])


def test_columns_of_a_block_must_be_those_of_the_frame():
    parts = [
        dask.delayed(pd.DataFrame)({"a": [1.0, 2], "b": [3.0, 4]}),
        dask.delayed(pd.DataFrame)({"b": [1.0], "a": [2.0]}),
    ]
    frame = dd.from_delayed(parts, meta=pd.DataFrame({"a": [1.0], "b": [1.0]}), verify_meta=False)
    with pytest.raises(ValueError, match="In block 1 of X: Column 0 of the block is 'b' and of X itself 'a'"):
        fitted(frame, n_clusters=2)


def test_weights_may_be_lazy_and_in_other_blocks():
    expected = in_a_loop(in_blocks(COUNTS), MASSES)
    for masses in (MASSES, MASSES.tolist(), pd.Series(MASSES), da.from_array(MASSES, chunks=77)):
        assert_same_bits(fitted(in_blocks(COUNTS), masses), expected)
    frame = frame_of(COUNTS)
    masses = dd.from_pandas(pd.Series(MASSES), npartitions=4)
    assert_same_bits(fitted(frame, masses), in_a_loop(frame, MASSES))
    sums = in_blocks(COUNTS).sum(axis=1)
    assert_same_bits(fitted(in_blocks(COUNTS), sums), in_a_loop(in_blocks(COUNTS), COUNTS.sum(axis=1)))


# --- What else a fitted estimator does -------------------------------------------------------------------------------


def test_in_memory_it_is_the_estimator_of_skdiv():
    ours = MiniBatchDivergenceClustering(3, random_state=0).fit(COUNTS)
    theirs = skdiv.MiniBatchDivergenceClustering(3, random_state=0).fit(COUNTS)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.cluster_centers_.tobytes() == theirs.cluster_centers_.tobytes()
    assert ours.predict(COUNTS[:9]).tolist() == theirs.predict(COUNTS[:9]).tolist()
    assert type(ours.transform(COUNTS[:9])) is np.ndarray
    assert ours.partial_fit(COUNTS).labels_.shape == (N,)


def test_what_was_fitted_on_dask_goes_on_in_memory():
    clustering = fitted(in_blocks(COUNTS))
    mass = clustering.summary_weights_.sum()
    clustering.partial_fit(COUNTS[:50])
    np.testing.assert_allclose(clustering.summary_weights_.sum(), mass + 50)
    clustering.merge(fitted(in_blocks(COUNTS)))
    np.testing.assert_allclose(clustering.summary_weights_.sum(), 2 * mass + 50)
    with pytest.raises(TypeError, match="partial_fit takes rows in memory, .* add its rows by merge"):
        clustering.partial_fit(in_blocks(COUNTS))
    assert 0.1 < clustering.score(COUNTS) < 1
    with pytest.raises(TypeError, match="score takes rows in memory, .* score a sample"):
        clustering.score(in_blocks(COUNTS))


def test_a_fitted_estimator_can_be_pickled():
    clustering = fitted(in_blocks(COUNTS))
    copy = pickle.loads(pickle.dumps(clustering))
    assert type(copy) is MiniBatchDivergenceClustering
    assert bits(copy.labels_) == bits(clustering.labels_)


def test_fit_predict_and_fit_transform_are_lazy():
    X = in_blocks(COUNTS)
    clustering = MiniBatchDivergenceClustering(3, random_state=0)
    labels, distances = clustering.fit_predict(X), clustering.fit_transform(X)
    assert isinstance(labels, da.Array)
    assert isinstance(distances, da.Array)
    assert labels.chunks == (SIZES,)
    assert distances.chunks == (SIZES, (3,))
    assert bits(distances.argmin(axis=1)) == bits(labels)


@pytest.mark.sampled
@pytest.mark.parametrize("kind", [in_blocks, csr_blocks, frame_of])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "estimator",
    [DivergenceClustering(3), DivergenceClustering(3, metric="kl", pseudocount=0.5, assign="center"), "summaries"],
    ids=["member", "center", "summaries"],
)
def test_prediction_has_the_bits_of_prediction_in_memory(estimator, dtype, kind):
    X = kind(COUNTS.astype(dtype))
    rows = X.compute() if kind is frame_of else COUNTS.astype(dtype)
    estimator = skdiv.MiniBatchDivergenceClustering(3) if estimator == "summaries" else clone(estimator)
    estimator.fit(rows[:400])
    labels, distances = predict(estimator, X), transform(estimator, X)
    assert labels.dtype == labels.compute().dtype
    assert distances.dtype == distances.compute().dtype == dtype
    np.testing.assert_array_equal(labels.compute(), estimator.predict(rows))
    np.testing.assert_allclose(
        distances.compute(), estimator.transform(rows), rtol=1e-6 if dtype == np.float32 else 1e-12, atol=1e-15
    )
    assert distances.shape[1:] == (3,)


def test_an_embedding_is_transformed_block_by_block():
    embedding = DivergenceEmbedding().fit(COUNTS)
    np.testing.assert_array_equal(transform(embedding, in_blocks(COUNTS)).compute(), embedding.transform(COUNTS))


@pytest.mark.exhaustive
def test_prediction_on_a_cluster_has_the_same_bits(dask_client):
    estimator = DivergenceClustering(3).fit(COUNTS[:300])
    labels = dask_client.compute(predict(estimator, in_blocks(COUNTS))).result()
    np.testing.assert_array_equal(labels, estimator.predict(COUNTS))


def test_rows_that_cannot_be_predicted_are_named_with_their_block():
    estimator = DivergenceClustering(3).fit(COUNTS[:300])
    with pytest.raises(ValueError, match=r"In block 3 of X: X\[80\] sums to 0"):
        predict(estimator, in_blocks(without_row(900))).compute()
    with pytest.raises(ValueError, match=r"In block \d of X: .*30 features"):
        transform(estimator, in_blocks(COUNTS[:, :7])).compute()
    named = DivergenceClustering(3).fit(frame_of(COUNTS).compute())
    with pytest.raises(ValueError, match=r"In block \d of X: The feature names should match"):
        predict(named, frame_of(COUNTS)[[f"bin {k}" for k in range(29, -1, -1)]]).compute()
    with pytest.raises(TypeError, match="X is a ndarray"):
        predict(estimator, COUNTS)


# --- Neighbours ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"base": 2}, {"metric": "kl", "reverse": True}, {"metric": "kl", "symmetrize": "max"}],
    ids=lambda options: options.get("metric", "js_distance"),
)
@pytest.mark.parametrize("kind", [in_blocks, csr_blocks, frame_of])
def test_neighbours_are_those_of_the_rows_in_memory(options, kind):
    options = {"pseudocount": 0.5, **options}
    lazy = nearest_divergences(kind(COUNTS), COUNTS[:200], 4, **options)
    assert [array.chunks[0] == SIZES for array in lazy] == [kind is not frame_of] * 2
    values, indices = dask.compute(*lazy)
    expected, places = skdiv.nearest_divergences(COUNTS, COUNTS[:200], 4, **options)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    np.testing.assert_array_equal(indices, places)
    assert [array.dtype for array in lazy] == [values.dtype, indices.dtype]


@pytest.mark.parametrize("left", [np.float64, np.float32])
@pytest.mark.parametrize("right", [np.float64, np.float32])
def test_the_precision_of_neighbours_is_known_before_they_are(left, right):
    Y = COUNTS[:50].astype(right)
    for other in (Y, sp.csr_array(Y), pd.DataFrame(Y), Y.tolist()):
        values, _ = nearest_divergences(in_blocks(COUNTS[:60].astype(left), (60,)), other)
        assert (
            values.dtype == values.compute().dtype == skdiv.nearest_divergences(COUNTS[:9].astype(left), other)[0].dtype
        )


@pytest.mark.parametrize(("dtypes", "expected"), [("ff", np.float32), ("fd", np.float64), ("dd", np.float64)])
def test_a_frame_is_as_precise_as_its_most_precise_column(dtypes, expected):
    frame = pd.DataFrame({dtype + str(k): COUNTS[:20, k].astype(dtype) + 1 for k, dtype in enumerate(dtypes)})
    distances, _ = nearest_divergences(dd.from_pandas(frame, npartitions=2), frame.astype(np.float32), 2)
    assert distances.dtype == distances.compute().dtype == expected


@pytest.mark.exhaustive
def test_neighbours_on_a_cluster_have_the_same_bits(dask_client):
    expected = skdiv.nearest_divergences(COUNTS, COUNTS[:200], 4)
    for Y in (COUNTS[:200], dask_client.scatter(COUNTS[:200], broadcast=True), in_blocks(COUNTS[:200], (90, 110))):
        lazy = nearest_divergences(in_blocks(COUNTS), Y, 4)
        found = [future.result() for future in dask_client.compute(list(lazy))]
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)


@pytest.mark.parametrize("kind", [in_blocks, csr_blocks, frame_of])
def test_rows_within_a_radius_are_those_of_the_rows_in_memory(kind):
    lazy = divergences_within(kind(COUNTS), COUNTS[:200], radius=0.2)
    assert lazy.chunks[1] == (200,)
    assert (lazy.chunks[0] == SIZES) == (kind is not frame_of)
    found, expected = lazy.compute(), skdiv.divergences_within(COUNTS, COUNTS[:200], radius=0.2)
    assert isinstance(found, sp.csr_array)
    assert 0 < found.nnz < found.shape[0] * found.shape[1] / 2
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-9)


@pytest.mark.exhaustive
def test_rows_within_a_radius_on_a_cluster(dask_client):
    expected = skdiv.divergences_within(COUNTS, COUNTS[:200], radius=0.2).toarray()
    for Y in (COUNTS[:200].tolist(), dask_client.scatter(COUNTS[:200], broadcast=True)):
        lazy = divergences_within(in_blocks(COUNTS), Y, radius=0.2)
        np.testing.assert_allclose(dask_client.compute(lazy).result().toarray(), expected, rtol=1e-12)


def test_queries_that_cannot_be_answered_are_refused():
    with pytest.raises(ValueError, match=r"In block \d of X: radius == -1"):
        divergences_within(in_blocks(COUNTS), COUNTS[:3], radius=-1).compute()
    with pytest.raises(ValueError, match="Y = None, but rows of a Dask collection are compared with others"):
        nearest_divergences(in_blocks(COUNTS), None)
    with pytest.raises(ValueError, match=r"In block \d of X: n_neighbors = 5, but Y has 3 rows"):
        nearest_divergences(in_blocks(COUNTS), COUNTS[:3])[0].compute()
    with pytest.raises(ValueError, match=r"In block 3 of X: X\[80\] sums to 0"):
        nearest_divergences(in_blocks(without_row(900)), COUNTS)[1].compute()


# --- Rows from files -------------------------------------------------------------------------------------------------


@pytest.mark.exhaustive
def test_a_file_is_opened_where_its_rows_are_used(tmp_path, dask_client):
    path = tmp_path / "counts.npy"
    np.save(path, np.tile(COUNTS, (20, 1)))
    X = from_npy(path, chunks=5000)
    assert X.shape == (20 * N, N_BINS)
    assert X.numblocks == (5, 1)
    assert len(pickle.dumps(X)) < 20_000
    with dask_client.as_current(), dask.config.set(scheduler=None):
        clustering = fitted(X, refine=2)
    assert_same_bits_of_fit(clustering, in_a_loop(in_blocks(np.tile(COUNTS, (20, 1)), X.chunks[0]), refine=2))


def assert_same_bits_of_fit(clustering, expected):
    assert_same_bits(clustering, {name: value for name, value in expected.items() if name != "labels_"})


def test_a_file_is_found_from_any_directory(tmp_path, monkeypatch):
    np.save(tmp_path / "counts.npy", COUNTS)
    monkeypatch.chdir(tmp_path)
    X = from_npy("counts.npy")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(X.compute(), COUNTS)


def test_a_block_of_a_file_is_not_copied(tmp_path):
    path = tmp_path / "counts.npy"
    np.save(path, COUNTS.astype(float))
    (part,) = dask.compute(from_npy(str(path), chunks=N).to_delayed().ravel()[0])
    while not isinstance(part, np.memmap):
        part = part.base
    assert len(pickle.dumps(from_npy(path))) < 5000
    assert from_npy(path).numblocks == (1, 1)


@pytest.mark.exhaustive
def test_rows_of_zarr_and_parquet_are_read_in_the_tasks(tmp_path, dask_client):
    expected = in_a_loop(in_blocks(COUNTS, (300,) * 4))
    da.to_zarr(in_blocks(COUNTS, (300,) * 4), str(tmp_path / "counts.zarr"))
    for k, part in enumerate(frame_of(COUNTS).to_delayed()):
        part.compute().to_parquet(tmp_path / f"{k}.parquet")
    with dask_client.as_current(), dask.config.set(scheduler=None):
        clusterings = [
            fitted(da.from_zarr(str(tmp_path / "counts.zarr"))),
            fitted(dd.read_parquet(tmp_path / "*.parquet")),
        ]
    for clustering in clusterings:
        assert_same_bits_of_fit(clustering, expected)


def test_a_file_that_is_not_read_in_blocks_is_refused(tmp_path):
    path = tmp_path / "counts.npy"
    np.save(path, COUNTS)
    for chunks in (0, -2):
        with pytest.raises(ValueError, match=f"chunks = {chunks} must be at least 1 row, or -1 for one block"):
            from_npy(path, chunks=chunks)
    assert from_npy(path, chunks=-1).numblocks == (1, 1)
    np.savez(tmp_path / "counts.npz", COUNTS)
    with pytest.raises(ValueError, match=r"is a .npz file, .* Save each by numpy.save"):
        from_npy(tmp_path / "counts.npz")


@pytest.mark.parametrize("later", [COUNTS[:-1], COUNTS.astype(np.float32), np.vstack([COUNTS, COUNTS])])
def test_a_file_that_has_changed_since_is_refused(tmp_path, later):
    path = tmp_path / "counts.npy"
    np.save(path, COUNTS)
    X = from_npy(path, chunks=500)
    np.save(path, later)
    with pytest.raises(ValueError, match=r"now, but from_npy found \(1200, 30\).* Call from_npy again"):
        X.compute()


@pytest.mark.parametrize(
    "Y", [COUNTS[:7], sp.csr_array(COUNTS[:7]), pd.DataFrame(COUNTS[:7])], ids=lambda Y: type(Y).__name__
)
def test_the_other_rows_may_be_delayed(Y):
    X = in_blocks(COUNTS[:100], (60, 0, 40))
    for function, options in ((nearest_divergences, {"n_neighbors": 2}), (divergences_within, {"radius": 0.3})):
        found, expected = (function(X, other, **options) for other in (dask.delayed(Y), Y))
        for one, other in zip(
            *(each if isinstance(each, tuple) else (each,) for each in (found, expected)), strict=True
        ):
            one, other = one.compute(), other.compute()
            assert one.shape == other.shape
            assert (one != other).sum() == 0
