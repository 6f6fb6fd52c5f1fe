"""Methods of scikit-learn and other libraries that work on what skdiv gives them."""

import warnings
from functools import partial
from importlib import import_module

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from numpy.testing import assert_allclose, assert_array_equal
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import pdist
from sklearn.cluster import DBSCAN, HDBSCAN, OPTICS, Birch, KMeans, MiniBatchKMeans, SpectralClustering
from sklearn.decomposition import TruncatedSVD
from sklearn.manifold import TSNE, Isomap
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import make_pipeline

from skdiv import nearest_divergences, pairwise_divergences
from skdiv.embedding import DivergenceEmbedding
from skdiv.neighbors import DivergenceNeighborsTransformer

# --- Euclidean methods on the embedding ---

COUNTS, LABELS = planted(40, n_bins=20, n_clusters=4)
EUCLIDEAN = [
    KMeans(4, random_state=0),
    MiniBatchKMeans(4, random_state=0),
    Birch(n_clusters=4, threshold=0.1),
    HDBSCAN(min_cluster_size=10, copy=True),
    pytest.param("hdbscan", marks=pytest.mark.exhaustive),
    make_pipeline(TruncatedSVD(10, random_state=0), KMeans(4, random_state=0)),
]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("method", EUCLIDEAN, ids=lambda method: type(method).__name__)
def test_euclidean_clusterings_find_planted_clusters(method, container):
    if method == "hdbscan":
        method = import_module("hdbscan").HDBSCAN(min_cluster_size=10)
    if container is sp.csr_array and "DBSCAN" in type(method).__name__:
        features = DivergenceEmbedding().fit_transform(container(COUNTS)).toarray()  # Both want dense rows.
        labels = method.fit_predict(features)
    else:
        labels = make_pipeline(DivergenceEmbedding(), method).fit_predict(container(COUNTS))
    assert adjusted_rand_score(LABELS, labels) == 1


@pytest.mark.exhaustive
def test_umap_keeps_planted_clusters_together():
    features = DivergenceEmbedding().fit_transform(COUNTS)
    plane = import_module("umap").UMAP(n_neighbors=10, random_state=0, n_jobs=1).fit_transform(features)
    scores = KNeighborsClassifier(1).fit(plane[::2], LABELS[::2]).score(plane[1::2], LABELS[1::2])
    assert scores == 1


def exact_neighbours(rows, k):
    distances = pairwise_divergences(rows)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1)[:, :k]


def recall(found, exact):
    return np.mean([len(set(row) & set(true)) / len(true) for row, true in zip(found, exact, strict=True)])


@pytest.mark.parametrize("index", ["scikit-learn", pytest.param("hnswlib", marks=pytest.mark.exhaustive)])
def test_indices_of_neighbours_find_those_by_js(index):
    rows = random_distributions(600, 20, zeros=0.3)
    features = DivergenceEmbedding(n_features_per_bin=5).fit_transform(rows).astype(np.float32)
    if index == "scikit-learn":
        found = NearestNeighbors(n_neighbors=10).fit(features).kneighbors(return_distance=False)
    else:
        graph = import_module("hnswlib").Index(space="l2", dim=features.shape[1])
        graph.init_index(len(features), ef_construction=200, M=16, random_seed=0)
        graph.add_items(features, num_threads=1)
        graph.set_ef(200)
        found = graph.knn_query(features, k=11, num_threads=1)[0][:, 1:]
    assert recall(found, exact_neighbours(rows, 10)) >= 0.98


# --- The graph of neighbours, where an estimator asks for distances ---

NOISY = np.vstack([planted(50, n_bins=20, n_clusters=5, seed=2)[0], 500 * random_distributions(30, 20, seed=32)])
MATRIX = pairwise_divergences(NOISY)


def graph_of(rows, mode="distance", **settings):
    return DivergenceNeighborsTransformer(mode, **settings).fit_transform(rows)


@pytest.mark.parametrize("metric", ["js_distance", "kl"])
def test_classification_by_neighbours(metric):
    train, new, labels = COUNTS[::2] + 1, COUNTS[1::2] + 1, LABELS[::2] % 3
    classifier = KNeighborsClassifier(7, metric="precomputed", weights="distance")
    graph = DivergenceNeighborsTransformer(n_neighbors=7, metric=metric)
    probabilities = make_pipeline(graph, classifier).fit(train, labels).predict_proba(new)
    dense = KNeighborsClassifier(7, metric="precomputed", weights="distance")
    dense.fit(pairwise_divergences(train, metric=metric), labels)
    assert_allclose(probabilities, dense.predict_proba(pairwise_divergences(new, train, metric=metric)), rtol=1e-9)


@pytest.mark.parametrize("radius", [0.1, 0.15, 0.2])
def test_dbscan_on_a_graph_of_a_radius_is_that_on_the_matrix(radius):
    dbscan = DBSCAN(radius, min_samples=5, metric="precomputed")
    labels = make_pipeline(DivergenceNeighborsTransformer(radius=radius), dbscan).fit_predict(NOISY)
    assert_array_equal(labels, dbscan.fit_predict(MATRIX))
    assert {-1, 0} <= set(labels)


def test_spectral_clustering_on_a_graph_is_that_on_the_matrix():
    rows = random_distributions(150, 8)
    spectral = SpectralClustering(4, affinity="precomputed_nearest_neighbors", n_neighbors=10, random_state=0)
    assert_array_equal(
        spectral.fit_predict(graph_of(rows, n_neighbors=10)), spectral.fit_predict(pairwise_divergences(rows))
    )


def test_spectral_clustering_of_planted_clusters_whose_graph_is_connected():
    """A disconnected or asymmetric graph is met by a warning, which is an error in these tests."""
    spectral = SpectralClustering(4, affinity="precomputed", random_state=0)
    for settings in ({"symmetric": True}, {"connected": True}):
        with pytest.raises(UserWarning, match=r"not fully connected|not symmetric"):
            spectral.fit(graph_of(COUNTS, "connectivity", n_neighbors=10, **settings))
    graph = graph_of(COUNTS, "connectivity", n_neighbors=10, symmetric=True, connected=True)
    assert adjusted_rand_score(LABELS, spectral.fit_predict(graph)) == 1


def test_tsne_on_a_graph_keeps_planted_clusters_together():
    perplexity = 5
    tsne = TSNE(metric="precomputed", init="random", perplexity=perplexity, max_iter=300, random_state=0)
    plane = tsne.fit_transform(graph_of(COUNTS, n_neighbors=3 * perplexity + 1))
    assert KNeighborsClassifier(1).fit(plane[::2], LABELS[::2]).score(plane[1::2], LABELS[1::2]) == 1


def plane_of(distances, **settings):
    """UMAP's plane, without its warnings that it cannot transform back or transform new rows."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="using precomputed metric; inverse_transform will be unavailable")
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\].* is not an NNDescent object")
        settings |= {"n_neighbors": 10, "init": "random", "n_epochs": 200, "random_state": 0, "n_jobs": 1}
        return import_module("umap").UMAP(**settings).fit_transform(distances)


def clusters_of(plane):
    return KMeans(6, n_init=5, random_state=0).fit_predict(plane)


@pytest.mark.exhaustive
def test_umap_on_a_graph_is_that_on_the_matrix():
    of_matrix = clusters_of(plane_of(MATRIX, metric="precomputed"))
    of_graph = clusters_of(
        plane_of(graph_of(NOISY, n_neighbors=15, symmetric=True, connected=True), metric="precomputed")
    )
    distances, indices = nearest_divergences(NOISY, n_neighbors=9)
    itself = np.arange(len(NOISY))[:, np.newaxis]
    nearest = np.hstack([itself, indices]), np.hstack([0.0 * itself, distances])
    for labels in (of_graph, clusters_of(plane_of(NOISY, precomputed_knn=nearest))):
        assert adjusted_rand_score(of_matrix, labels) >= 0.999


PACKAGES = ["scikit-learn", pytest.param("hdbscan", marks=pytest.mark.exhaustive)]


def hdbscan_of(package, min_samples, *, sparse):
    """Both count a row as its own neighbour, but the package hdbscan not in a dense matrix."""
    settings = {"metric": "precomputed", "min_cluster_size": 10}
    if package == "scikit-learn":
        return HDBSCAN(min_samples=min_samples, copy=True, **settings)
    return import_module("hdbscan").HDBSCAN(min_samples=min_samples if sparse else min_samples - 1, **settings)


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("min_samples", [5, 10])
def test_hdbscan_on_a_graph_is_that_on_the_matrix(package, min_samples):
    graph = DivergenceNeighborsTransformer(n_neighbors=15, symmetric=True, connected=True)
    labels = make_pipeline(graph, hdbscan_of(package, min_samples, sparse=True)).fit_predict(NOISY)
    expected = hdbscan_of(package, min_samples, sparse=False).fit_predict(MATRIX)
    assert {-1, 0, 4} <= set(expected)
    assert adjusted_rand_score(expected, labels) >= 0.999


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("min_samples", [3, 6])
def test_hdbscan_on_some_neighbours_is_that_on_all(package, min_samples):
    """To the bit. On a dense matrix both break ties between reachability distances in another way."""
    rows = np.vstack([planted(50, n_bins=20, n_clusters=5)[0], 500 * random_distributions(30, 20, seed=30)])
    some, every = (graph_of(rows, n_neighbors=k, symmetric=True, connected=True) for k in (15, len(rows) - 1))
    method = hdbscan_of(package, min_samples, sparse=True)
    assert_array_equal(method.fit_predict(some), method.fit_predict(every))


REFUSED = [
    ("scikit-learn", {"connected": True}, "asymmetric"),
    ("scikit-learn", {"symmetric": True}, "connected components"),
    pytest.param("hdbscan", {"symmetric": True}, "multiple connected components", marks=pytest.mark.exhaustive),
    pytest.param("umap", {"connected": True}, "symmetrical", marks=pytest.mark.exhaustive),
]


@pytest.mark.parametrize(("package", "settings", "message"), REFUSED)
def test_a_graph_has_to_be_symmetric_and_connected(package, settings, message):
    graph = graph_of(COUNTS, n_neighbors=10, **settings)
    fit = partial(plane_of, metric="precomputed") if package == "umap" else hdbscan_of(package, 5, sparse=True).fit
    with pytest.raises(ValueError, match=message):
        fit(graph)


# --- Graphs of rows half of which are duplicates ---

HALF = np.vstack([np.repeat(random_distributions(5, 20, seed=1), 12, axis=0), random_distributions(60, 20, seed=2)])
OF_HALF = pairwise_divergences(HALF)
FLOOR = {np.float64: 1e-300, np.float32: np.finfo(np.float32).tiny}
SETTINGS = [{}, {"symmetric": True}, {"symmetric": True, "connected": True}]


def heights_of_hdbscan(package, distances):
    """The heights of the tree, of which the labels follow; ties between them leave more than one set of labels."""
    method = hdbscan_of(package, 5, sparse=sp.issparse(distances)).fit(distances.astype(np.float64))
    tree = getattr(method, "_single_linkage_tree_", None)
    return np.sort(method._single_linkage_tree[:, 2] if tree is None else tree["value"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("settings", [{"n_neighbors": 25}, {"n_neighbors": 119}, {"radius": 0.2}], ids=str)
def test_single_linkage_on_a_graph_of_equal_rows_is_that_on_the_matrix(settings, dtype):
    """By SciPy, which takes a stored 0 for no edge."""
    rows = HALF.astype(dtype)
    graph = graph_of(rows, connected=True, **settings)
    tree = minimum_spanning_tree(graph)
    assert_allclose(np.sort(tree.data), linkage(pdist(rows, "jensenshannon"), "single")[:, 2], rtol=1e-6, atol=1e-7)
    assert connected_components(graph)[0] == 1
    assert tree.data.min() == FLOOR[dtype]
    assert not graph.diagonal().any()


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_tree_of_hdbscan_on_a_graph_of_equal_rows_is_that_on_the_matrix(package, dtype):
    rows = HALF.astype(dtype)
    graph = graph_of(rows, n_neighbors=25, symmetric=True, connected=True)
    assert graph.data[graph.data > 0].min() == FLOOR[dtype]  # Else scikit-learn may never return.
    heights = heights_of_hdbscan(package, graph)
    assert_allclose(heights, heights_of_hdbscan(package, pairwise_divergences(rows)), rtol=0, atol=FLOOR[dtype])
    assert len(heights) == len(rows) - 1


@pytest.mark.parametrize("copies", [6, 8, 12])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_hdbscan_finds_the_clusters_of_the_matrix_where_more_rows_are_equal_than_its_samples(copies, dtype):
    rng = np.random.default_rng(copies)
    few = rng.multinomial(20, [0.6, 0.3, 0.1], size=4)
    rows = np.vstack([np.repeat(few, copies, axis=0), rng.multinomial(2000, [0.2, 0.3, 0.5], size=4 * copies)])
    graph = graph_of(rows.astype(dtype), n_neighbors=20, symmetric=True, connected=True)
    assert graph.data[graph.data > 0].min() == FLOOR[dtype]
    method = hdbscan_of("scikit-learn", 5, sparse=True).set_params(min_cluster_size=5)
    expected = method.fit_predict(pairwise_divergences(rows.astype(dtype)))
    labels = method.fit_predict(graph)
    assert adjusted_rand_score(expected, labels) == 1  # Equally stable clusters may change their numbers.
    assert_array_equal(labels == -1, expected == -1)
    assert len(set(expected)) > 3


READERS = {
    "DBSCAN": lambda distances: DBSCAN(0.2, min_samples=5, metric="precomputed").fit(distances).labels_,
    "OPTICS": lambda distances: (
        OPTICS(min_samples=5, metric="precomputed", max_eps=0.3, cluster_method="dbscan").fit(distances).reachability_
    ),
    "LOF": lambda distances: LocalOutlierFactor(20, metric="precomputed").fit(distances).negative_outlier_factor_,
    "Isomap": lambda distances: Isomap(n_neighbors=20, metric="precomputed").fit(distances).dist_matrix_,
}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("reader", READERS)
def test_methods_read_of_a_graph_of_equal_rows_what_they_read_of_the_matrix(reader, settings):
    found = READERS[reader](graph_of(HALF, n_neighbors=25, **settings))
    assert_allclose(found, READERS[reader](OF_HALF), rtol=1e-12, atol=1e-300)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_methods_that_take_so_many_neighbours_keep_equal_rows_together(settings):
    """Which of equally near rows they take is their own choice, so their results are not compared by their bits."""
    graph = graph_of(HALF, n_neighbors=25, **settings)
    spectral = SpectralClustering(6, affinity="precomputed_nearest_neighbors", n_neighbors=12, random_state=0)
    plane = TSNE(metric="precomputed", init="random", perplexity=8, max_iter=300, random_state=0).fit_transform(graph)
    copies = np.repeat(np.arange(5), 12)
    assert adjusted_rand_score(copies, spectral.fit_predict(graph)[:60]) == 1
    assert KNeighborsClassifier(1).fit(plane[:60:2], copies[::2]).score(plane[1:60:2], copies[1::2]) == 1


@pytest.mark.exhaustive
def test_umap_takes_zeros_between_equal_rows_for_what_they_are():
    """Of a connected graph in single precision it would take the floor for the distance of the nearest other row."""
    rows = np.vstack([np.repeat(random_distributions(15, 20, seed=1), 4, axis=0), random_distributions(60, 20, seed=2)])
    matrix = pairwise_divergences(rows.astype(np.float32))
    graph = graph_of(rows.astype(np.float32), n_neighbors=25, symmetric=True)
    found, expected = (membership_by_umap(distances) for distances in (graph, matrix))
    assert_allclose(np.sort(found, axis=None), np.sort(expected, axis=None), atol=1e-5)  # Of equal rows it takes some.


def membership_by_umap(distances):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="using precomputed metric; inverse_transform will be unavailable")
        settings = {"n_neighbors": 10, "init": "random", "n_epochs": 1, "random_state": 0, "n_jobs": 1}
        reducer = import_module("umap").UMAP(metric="precomputed", **settings)
        return reducer.fit(distances).graph_.toarray()
