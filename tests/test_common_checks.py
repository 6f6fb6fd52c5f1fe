"""scikit-learn's checks of an estimator; and our own where theirs feed it what is no distribution."""

import numpy as np
import pytest
import scipy.sparse as sp
from conftest import planted
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdiv import DivergenceClustering, MiniBatchDivergenceClustering, pairwise_divergences
from skdiv.embedding import DivergenceEmbedding

BLOBS = "feeds centred blobs, which are negative, whatever positive_only and pairwise say"
EMPTY_ROWS = "feeds rows without any mass, which are refused unless there is a pseudocount"
NO_ZERO_WEIGHTS = "gives some rows no weight, which are refused: a tree has no place for them"
WITH_ZERO_WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": NO_ZERO_WEIGHTS,
    "check_sample_weight_equivalence_on_sparse_data": NO_ZERO_WEIGHTS,
}
EXPECTED_FAILURES = {
    **WITH_ZERO_WEIGHTS,
    "check_clustering": BLOBS,
    "check_estimators_dtypes": EMPTY_ROWS,
    "check_estimator_sparse_tag": EMPTY_ROWS,
    "check_estimator_sparse_array": EMPTY_ROWS,
    "check_estimator_sparse_matrix": EMPTY_ROWS,
    "check_sample_weights_pandas_series": EMPTY_ROWS,
    "check_sample_weights_not_an_array": EMPTY_ROWS,
}
ESTIMATORS = [
    DivergenceClustering(),
    DivergenceClustering(assign="center"),
    DivergenceClustering(metric="kl", pseudocount=1),
    DivergenceClustering(metric="hellinger", linkage="complete", pseudocount=0.5),
    DivergenceClustering(metric="precomputed"),
    DivergenceClustering(linkage="information", pseudocount=0.5),
    MiniBatchDivergenceClustering(random_state=0),
    MiniBatchDivergenceClustering(pseudocount=0.5, random_state=0),
]


def is_precomputed(estimator):
    return estimator.get_params().get("metric") == "precomputed"


def expected_failures(estimator):
    """Strict, by xfail_strict: an entry goes when scikit-learn's check is mended."""
    if is_precomputed(estimator):
        return {"check_clustering": BLOBS}
    return {"check_clustering": BLOBS, **WITH_ZERO_WEIGHTS} if estimator.pseudocount else EXPECTED_FAILURES


TRANSFORMERS = [DivergenceEmbedding(), DivergenceEmbedding("hellinger", pseudocount=1)]
EMPTY_FOR_TRANSFORMERS = {
    name: EMPTY_ROWS
    for name in EXPECTED_FAILURES
    if name not in WITH_ZERO_WEIGHTS and name != "check_clustering" and "sample_weights" not in name
}


@pytest.mark.sampled(40)
@parametrize_with_checks(
    TRANSFORMERS, expected_failed_checks=lambda estimator: {} if estimator.pseudocount else EMPTY_FOR_TRANSFORMERS
)
def test_scikit_learns_checks_of_transformers(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)


@pytest.mark.sampled(60)
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learns_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else the check of array API input is skipped
    check(estimator)


# --- The same checks on the simplex ---

COUNTS, LABELS = planted(20)


def simplex_data(estimator, dtype=np.float64):
    return (pairwise_divergences(COUNTS) if is_precomputed(estimator) else COUNTS).astype(dtype)


@pytest.fixture(params=ESTIMATORS, ids=str)
def estimator(request):
    return clone(request.param)


@pytest.mark.parametrize("readonly_memmap", [False, True])
def test_clustering_on_the_simplex(estimator, readonly_memmap, tmp_path):
    """check_clustering: finds the planted clusters, takes lists, repeats itself, labels from 0 without a gap."""
    X = simplex_data(estimator)
    if readonly_memmap:
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    labels = estimator.set_params(n_clusters=3).fit(X.tolist()).labels_
    assert labels.shape == (60,)
    assert adjusted_rand_score(labels, LABELS) > 0.95
    assert labels.dtype in (np.int32, np.int64)
    np.testing.assert_array_equal(estimator.fit_predict(X), labels)
    np.testing.assert_array_equal(np.unique(labels), [0, 1, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_dtypes_on_the_simplex(estimator, dtype):
    """check_estimators_dtypes: integers are counts."""
    scale = 1 if np.issubdtype(dtype, np.floating) else 1000
    X = (simplex_data(estimator) * scale).astype(dtype)
    fitted = estimator.set_params(n_clusters=3).fit(X)
    assert adjusted_rand_score(fitted.predict(X), LABELS) > 0.95
    assert fitted.transform(X).dtype == (np.float32 if dtype == np.float32 else np.float64)


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array, sp.coo_matrix])
def test_sparse_input_on_the_simplex(estimator, kind):
    """check_estimator_sparse_*: accepted where the tag says so, with the dense result; else refused plainly."""
    X = simplex_data(estimator)
    if not estimator.__sklearn_tags__().input_tags.sparse:
        with pytest.raises(TypeError, match="[Ss]parse data was passed"):
            estimator.fit(kind(X))
        return
    dense = clone(estimator).fit(X)
    estimator.fit(kind(X))
    np.testing.assert_array_equal(estimator.labels_, dense.labels_)
    np.testing.assert_allclose(estimator.transform(kind(X)), dense.transform(X), atol=1e-12)
    np.testing.assert_allclose(estimator.cluster_centers_, dense.cluster_centers_, atol=1e-15)


def test_one_feature_on_the_simplex(estimator):
    """check_fit2d_1feature: over one bin there is one distribution, but two distances make a matrix."""
    if is_precomputed(estimator):
        assert np.all(estimator.fit(np.zeros((5, 5))).distances_ == 0)
        return
    with pytest.raises(ValueError, match="X has one bin, over which all distributions are the same"):
        estimator.fit(COUNTS[:5].sum(axis=1, keepdims=True))
