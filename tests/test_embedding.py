"""Distributions as points whose Euclidean distances are divergences."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.exceptions import NotFittedError

from skdiv import divergences, pairwise_divergences
from skdiv.embedding import DivergenceEmbedding

X = np.vstack([
    random_distributions(20, 12),
    random_distributions(20, 12, zeros=0.6, seed=1),
    np.eye(12)[:4],  # disjoint supports
    np.random.default_rng(0).dirichlet(np.full(12, 0.01), 10) + 1e-300,  # entries of all sizes
])  # fmt: skip
BINS = list(range(1, 10))


def squared_errors(metric, features, **kwargs):
    """Return the relative errors of the squared Euclidean distances of all pairs of different rows."""
    i, j = np.triu_indices(len(X), 1)
    return cdist(features, features)[i, j] ** 2 / pairwise_divergences(X, metric=metric, **kwargs)[i, j] ** 2 - 1


# --- Distances ---


@pytest.mark.parametrize("n_features", BINS)
def test_squared_distances_are_js_to_the_stated_distortion(n_features):
    embedding = DivergenceEmbedding(n_features_per_bin=n_features).fit(X)
    features = embedding.transform(X)
    assert features.shape == (len(X), 12 * n_features)
    assert np.abs(squared_errors("js_distance", features)).max() <= embedding.max_distortion_ + 1e-9


@pytest.mark.parametrize("n_features", BINS)
def test_the_docstring_states_the_distortions(n_features):
    stated = DivergenceEmbedding.__doc__.split("at most ")[1].split(" for 1, 2")[0].replace("%", "").replace("\n", " ")
    percent = [float(word) for word in stated.replace(",", " ").split()]
    assert 100 * DivergenceEmbedding(n_features_per_bin=n_features).fit(X).max_distortion_ <= percent[n_features - 1]


def test_distances_are_hellinger_exactly():
    embedding = DivergenceEmbedding("hellinger").fit(X)
    features = embedding.transform(X)
    assert (embedding.max_distortion_, embedding.n_features_per_bin_) == (0, 1)
    assert_allclose(features, np.sqrt(X / X.sum(axis=1, keepdims=True) / 2), rtol=1e-12)
    assert np.abs(squared_errors("hellinger", features)).max() < 1e-9


def test_a_base_scales_the_distances():
    features = DivergenceEmbedding(n_features_per_bin=9, base=2).fit_transform(X)
    assert np.abs(squared_errors("js_distance", features, base=2)).max() < 1.2e-4


def test_a_pseudocount_enters_the_distances():
    counts = planted(5)[0]
    features = DivergenceEmbedding(n_features_per_bin=9, pseudocount=0.5).fit_transform(counts)
    assert_allclose(cdist(features, features), pairwise_divergences(counts, pseudocount=0.5), rtol=6e-5, atol=1e-12)


def test_multiples_of_a_row_have_the_same_features():
    features = DivergenceEmbedding().fit_transform(np.vstack([X[:5], 1024 * X[:5]]))
    assert_array_equal(features[:5], features[5:])


# --- Containers ---


@pytest.mark.parametrize(("metric", "base"), [("js_distance", None), ("js_distance", 2), ("hellinger", None)])
@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_matrix])
def test_sparse_rows_give_the_same_features_in_csr(metric, base, container):
    embedding = DivergenceEmbedding(metric, base=base).fit(X)
    features = embedding.transform(container(X))
    assert features.format == "csr"
    assert features.nnz <= embedding.n_features_per_bin_ * np.count_nonzero(X)
    assert_allclose(features.toarray(), embedding.transform(X), rtol=1e-13)


def test_sparse_rows_with_a_pseudocount_give_dense_features():
    counts = planted(5)[0]
    embedding = DivergenceEmbedding(pseudocount=0.5).fit(counts)
    assert_allclose(embedding.transform(sp.csr_array(counts)), embedding.transform(counts), rtol=1e-12)


def test_single_precision_gives_the_rounded_features():
    # 1e-300 is no number of single precision.
    rows = X[:40].astype(np.float32)
    features = DivergenceEmbedding().fit_transform(rows)
    assert features.dtype == np.float32
    assert_allclose(features, DivergenceEmbedding().fit_transform(rows.astype(np.float64)), rtol=1e-5, atol=1e-6)


def test_columns_have_names():
    frame = pd.DataFrame(X[:, :2], columns=["red", "blue"])
    embedding = DivergenceEmbedding(n_features_per_bin=5).set_output(transform="pandas").fit(frame.iloc[:20])
    expected = [f"{name}_{end}" for end in ["sqrt", "cos1", "sin1", "cos2", "sin2"] for name in ["red", "blue"]]
    assert embedding.transform(frame.iloc[:20]).columns.tolist() == expected
    assert DivergenceEmbedding("hellinger").fit(X[:20, :2]).get_feature_names_out().tolist() == ["x0_sqrt", "x1_sqrt"]
    even = DivergenceEmbedding(n_features_per_bin=2).fit(X[:20, :2]).get_feature_names_out().tolist()
    assert even == ["x0_cos1", "x1_cos1", "x0_sin1", "x1_sin1"]


def test_input_is_not_modified():
    kept = X.copy()
    DivergenceEmbedding().fit_transform(X)
    assert_array_equal(X, kept)


# --- Refusals ---


@pytest.mark.parametrize("metric", ["kl", "js_divergence", "total_variation", "bhattacharyya"])
def test_a_divergence_that_is_no_euclidean_distance_is_refused(metric):
    with pytest.raises(ValueError, match=f"metric = '{metric}' .*js_distance.*hellinger"):
        DivergenceEmbedding(metric).fit(X)


def test_a_record_whose_value_is_not_the_distance_is_refused():
    js = divergences()["js_distance"]
    with pytest.raises(ValueError, match="metric = 'half' is not a Euclidean distance"):
        DivergenceEmbedding(replace(js, name="half", finish=lambda total: np.sqrt(total) / 2, fast=None)).fit(X)


def test_more_features_than_there_are_are_refused():
    with pytest.raises(ValueError, match="n_features_per_bin = 10, but it must be from 1 to 9"):
        DivergenceEmbedding(n_features_per_bin=10).fit(X)


@pytest.mark.parametrize("bad", [[[1.0, -1.0]], [[0.0, 0.0]], [[np.nan, 1.0]]])
def test_rows_that_are_no_distributions_are_refused(bad):
    embedding = DivergenceEmbedding().fit(X[:, :2] + 0.1)
    for call in (embedding.transform, DivergenceEmbedding().fit):
        with pytest.raises(ValueError, match=r"X\[0"):
            call(bad)


def test_a_failed_refit_leaves_the_transformer_as_it_was():
    embedding = DivergenceEmbedding().fit(pd.DataFrame(X[:20, :3], columns=list("abc")))
    before = vars(embedding).copy()
    with pytest.raises(ValueError, match="sums to 0"):
        embedding.fit([[0, 0]])
    assert vars(embedding) == before


def test_what_transform_needs_is_fixed_by_fit():
    embedding = DivergenceEmbedding().fit(X)
    expected = embedding.transform(X)
    assert_array_equal(embedding.set_params(n_features_per_bin=5, pseudocount=3).transform(X), expected)


def test_a_transformer_that_is_not_fitted_says_so():
    with pytest.raises(NotFittedError):
        DivergenceEmbedding().transform(X)
