"""Methods of scikit-learn and other libraries that work on what skdiv gives them."""

import hdbscan
import hnswlib
import numpy as np
import pytest
import scipy.sparse as sp
import umap
from conftest import planted, random_distributions
from sklearn.cluster import HDBSCAN, Birch, KMeans, MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline

from skdiv import pairwise_divergences
from skdiv.embedding import DivergenceEmbedding

# --- Euclidean methods on the embedding ---

COUNTS, LABELS = planted(40, n_bins=20, n_clusters=4)
EUCLIDEAN = [
    KMeans(4, random_state=0),
    MiniBatchKMeans(4, random_state=0),
    Birch(n_clusters=4, threshold=0.1),
    HDBSCAN(min_cluster_size=10, copy=True),
    hdbscan.HDBSCAN(min_cluster_size=10),
    make_pipeline(TruncatedSVD(10, random_state=0), KMeans(4, random_state=0)),
]


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("method", EUCLIDEAN, ids=lambda method: f"{type(method).__module__}.{type(method).__name__}")
def test_euclidean_clusterings_find_planted_clusters(method, container):
    if container is sp.csr_array and "DBSCAN" in type(method).__name__:
        features = DivergenceEmbedding().fit_transform(container(COUNTS)).toarray()  # Both want dense rows.
        labels = method.fit_predict(features)
    else:
        labels = make_pipeline(DivergenceEmbedding(), method).fit_predict(container(COUNTS))
    assert adjusted_rand_score(LABELS, labels) == 1


def test_umap_keeps_planted_clusters_together():
    features = DivergenceEmbedding().fit_transform(COUNTS)
    plane = umap.UMAP(n_neighbors=10, random_state=0, n_jobs=1).fit_transform(features)
    scores = KNeighborsClassifier(1).fit(plane[::2], LABELS[::2]).score(plane[1::2], LABELS[1::2])
    assert scores == 1


def exact_neighbours(rows, k):
    distances = pairwise_divergences(rows)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1)[:, :k]


def recall(found, exact):
    return np.mean([len(set(row) & set(true)) / len(true) for row, true in zip(found, exact, strict=True)])


@pytest.mark.parametrize("index", ["scikit-learn", "hnswlib"])
def test_indices_of_neighbours_find_those_by_js(index):
    rows = random_distributions(600, 20, zeros=0.3)
    features = DivergenceEmbedding(n_features_per_bin=5).fit_transform(rows).astype(np.float32)
    if index == "scikit-learn":
        found = NearestNeighbors(n_neighbors=10).fit(features).kneighbors(return_distance=False)
    else:
        graph = hnswlib.Index(space="l2", dim=features.shape[1])
        graph.init_index(len(features), ef_construction=200, M=16, random_seed=0)
        graph.add_items(features, num_threads=1)
        graph.set_ef(200)
        found = graph.knn_query(features, k=11, num_threads=1)[0][:, 1:]
    assert recall(found, exact_neighbours(rows, 10)) >= 0.98
