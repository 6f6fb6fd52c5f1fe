"""Collections of observations become rows of counts."""

import importlib
import pickle
import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from conftest import POLARS
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import cauchy, norm
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import adjusted_rand_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version

from skdiv import DivergenceClustering, divergences, pairwise_divergences
from skdiv.preprocessing import HistogramTransformer

RULES = ["doane", "fd", "rice", "scott", "sqrt", "stone", "sturges"]
SIZES = [40, 1, 120, 75, 3]


def collections(seed=0, shape=()):
    """Return ragged collections of normal observations, read-only as all input may be."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(n, *shape)) for n in SIZES]
    for array in arrays:
        array.flags.writeable = False
    return arrays


def long(arrays, names="abcde"):
    """Return collections as one array, and the group of each observation, in no order."""
    values, groups = np.concatenate(arrays), np.repeat(list(names), [len(array) for array in arrays])
    order = np.random.default_rng(0).permutation(len(values))
    return values[order], groups[order]


def planted(n_per_cluster, seed):
    """Return collections of 200 observations of three distributions with nearly one mean, and their origins."""
    rng = np.random.default_rng(seed)
    origins = rng.permutation(np.repeat(range(3), n_per_cluster))
    draw = [lambda n: rng.gamma(1, 2, n), lambda n: rng.gamma(8, 0.25, n), lambda n: rng.normal(2, 2, n)]
    return [draw[origin](200 + rng.integers(50)) for origin in origins], origins


# --- Intervals ---


@pytest.mark.parametrize("bins", [*RULES, 1, 7, [-1, 0, 0.5, 2], [0, 1]], ids=str)
def test_counts_are_numpys(bins):
    X = collections()
    edges = np.histogram_bin_edges(np.concatenate(X), bins)
    transformer = HistogramTransformer(bins).fit(X)
    assert_array_equal(transformer.bin_edges_[0], edges)
    rows = transformer.transform(X)
    assert rows.dtype == np.float64
    assert_array_equal(rows[:, 1:-1], [np.histogram(array, edges)[0] for array in X])
    assert_array_equal(rows[:, 0], [(array < edges[0]).sum() for array in X])
    assert_array_equal(rows[:, -1], [(array > edges[-1]).sum() for array in X])
    assert transformer.n_bins_ == len(edges) + 1 == rows.shape[1]


@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 1.0, np.nextafter(1, 2), np.nextafter(0, -1), -0.0])
def test_an_edge_belongs_to_the_bin_on_its_right_and_the_last_to_the_last_bin(value):
    transformer = HistogramTransformer([0, 0.25, 0.5, 1], out_of_range="bins").fit([[0.3]])
    expected = [value < 0, *np.histogram([value], [0, 0.25, 0.5, 1])[0], value > 1]
    assert_array_equal(transformer.transform([[value]])[0], expected)


@pytest.mark.parametrize("bins", [3, "sturges", [2, 3], ["fd", [-1, 0, 1]], [[-1, 0, 1, 3], [-0.5, 0.5]]], ids=str)
def test_counts_in_two_dimensions_are_numpys(bins):
    X = collections(shape=(2,))
    transformer = HistogramTransformer(bins).fit(X)
    specs = bins if isinstance(bins, list) else [bins, bins]
    edges = [np.histogram_bin_edges(column, spec) for column, spec in zip(np.concatenate(X).T, specs, strict=True)]
    for got, expected in zip(transformer.bin_edges_, edges, strict=True):
        assert_array_equal(got, expected)
    extended = [[-np.inf, *each[:-1], np.nextafter(each[-1], np.inf), np.inf] for each in edges]
    assert_array_equal(transformer.transform(X), [np.histogramdd(array, extended)[0].ravel() for array in X])
    without = HistogramTransformer(bins, out_of_range="clip").fit(X)
    lowest, highest = np.array([[each[0], each[-1]] for each in edges]).T
    inside = [array[np.all((array >= lowest) & (array <= highest), axis=1)] for array in X]
    assert_array_equal(without.transform(inside), [np.histogramdd(array, edges)[0].ravel() for array in inside])


def test_every_observation_is_counted():
    X = collections(shape=(3,))
    for parameters in [{}, {"out_of_range": "clip"}, {"strategy": "quantile"}, {"strategy": "kmeans"}]:
        transformer = HistogramTransformer(4, random_state=0, **parameters).fit(X)
        new = [10 * array for array in X]
        assert_array_equal(transformer.transform(new).sum(axis=1), SIZES)


def test_quantile_bins_hold_equally_many():
    X = collections()
    rows = HistogramTransformer(10, strategy="quantile").fit_transform([*X, [7.0]])
    assert_array_equal(rows.sum(axis=0)[1:-1], 24)
    of_rule = HistogramTransformer("sturges", strategy="quantile").fit(X)
    assert of_rule.n_bins_ == HistogramTransformer("sturges").fit(X).n_bins_


def test_equal_quantiles_become_one_edge_with_a_warning():
    with pytest.warns(UserWarning, match=r"Of 5 quantiles .* are equal, so there are 2 bins in place of 4"):
        transformer = HistogramTransformer(4, strategy="quantile").fit([[1, 1, 1, 1, 1], [1, 2, 3]])
    assert_array_equal(transformer.bin_edges_[0], [1, 1.5, 3])
    with pytest.warns(UserWarning, match="1 bins in place of 4"):
        transformer = HistogramTransformer(4, strategy="quantile").fit([[2, 2], [2]])
    assert_array_equal(transformer.bin_edges_[0], [1.5, 2.5])


def test_the_bins_of_integers_are_those_of_numpy():
    X = [np.random.default_rng(0).poisson(3, 500)] * 3
    assert_array_equal(HistogramTransformer("auto").fit(X).bin_edges_[0], np.histogram_bin_edges(X[0], "auto"))
    assert_array_equal(HistogramTransformer("fd").fit(X).bin_edges_[0], np.histogram_bin_edges(np.concatenate(X), "fd"))


# --- "auto" goes by the size of a collection ---


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("n_collections", [1, 2, 30])
@pytest.mark.parametrize("seed", range(3))
def test_of_equal_collections_auto_chooses_what_numpy_does_for_one(n_collections, seed, strategy):
    one = np.random.default_rng(seed).gamma(2, size=150)
    expected = np.histogram_bin_edges(one, "auto")
    transformer = HistogramTransformer(strategy=strategy, out_of_range="clip").fit([one] * n_collections)
    assert transformer.n_bins_ == len(expected) - 1
    if strategy == "uniform":
        assert_allclose(transformer.bin_edges_[0], expected, rtol=1e-12)
    in_two = HistogramTransformer(["auto", "fd"]).fit([np.column_stack([one, one])] * n_collections)
    assert len(in_two.bin_edges_[0]) <= len(expected)
    assert_array_equal(in_two.bin_edges_[1], np.histogram_bin_edges(np.tile(one, n_collections), "fd"))


def test_auto_goes_by_the_median_of_the_collections_that_have_observations():
    rng = np.random.default_rng(0)
    middle = norm.ppf((np.arange(100) + 0.5) / 100)
    few, many, empty = [rng.normal(size=n) for n in (3, 7000, 0)]
    width = np.diff(np.histogram_bin_edges(middle, "auto"))[0]
    for X in ([middle], [few, middle, many], [empty, empty, empty, few, middle, many]):
        assert_allclose(np.diff(HistogramTransformer().fit(X).bin_edges_[0]), width, rtol=0.12)
    assert np.diff(np.histogram_bin_edges(np.concatenate(X), "auto"))[0] < 0.4 * width


@pytest.mark.parametrize("out_of_range", ["bins", "clip", "error"])
def test_a_few_outliers_leave_the_bins_of_auto_as_they_are(out_of_range):
    rng = np.random.default_rng(0)
    X = [rng.normal(size=100) for _ in range(50)]
    edges = HistogramTransformer(out_of_range=out_of_range).fit(X).bin_edges_[0]
    X[7][3], X[9][1] = 1e9, -1e12
    transformer = HistogramTransformer(out_of_range=out_of_range).fit(X)
    assert_allclose(transformer.bin_edges_[0][1:-1], edges[1:-1], rtol=0.05, atol=0.02)
    assert_array_equal(transformer.transform(X).sum(axis=1), 100)
    if out_of_range == "error":
        assert_array_equal(transformer.bin_edges_[0][[0, -1]], [-1e12, 1e9])


def test_heavy_tails_do_not_make_many_bins():
    heavy = cauchy.ppf((np.arange(400) + 0.5) / 400)
    assert HistogramTransformer(out_of_range="clip").fit([heavy, heavy]).n_bins_ == 40


def test_collections_with_heavy_tails_are_told_apart():
    rng = np.random.default_rng(2)
    origins = np.repeat([0, 1], 15)
    X = [(1 + 0.7 * origin) * rng.standard_cauchy(1000) for origin in origins]
    by_auto, by_all = (
        adjusted_rand_score(origins, make_pipeline(HistogramTransformer(bins), DivergenceClustering(2)).fit_predict(X))
        for bins in ("auto", int(2 * 30_000**0.5))  # what NumPy takes for all observations
    )
    assert by_auto == 1
    assert by_all < 0.6


@pytest.mark.parametrize(("n_dimensions", "n"), [(1, 64), (2, 81), (4, 729)])
def test_in_more_dimensions_auto_is_for_fewer_observations_as_the_best_width_of_a_grid_is(n_dimensions, n):
    fewer = {1: 64, 2: 27, 4: 27}[n_dimensions]  # n ** (3 / (2 + n_dimensions))
    of_n, of_fewer = (norm.ppf((np.arange(k) + 0.5) / k) for k in (n, fewer))
    edges = np.histogram_bin_edges(of_fewer, "auto")
    points = np.column_stack([np.random.default_rng(seed).permutation(of_n) for seed in range(n_dimensions)])
    transformer = HistogramTransformer().fit([points, points[::-1]])
    for along in transformer.bin_edges_:
        assert_allclose(along, edges, rtol=1e-12)


def test_equal_distributions_are_nearer_in_bins_of_auto_than_in_those_that_numpy_takes_for_all():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=200) for _ in range(40)]
    by_auto, by_all = (
        pairwise_divergences(HistogramTransformer(bins).fit_transform(X)).mean()
        for bins in ("auto", np.histogram_bin_edges(np.concatenate(X), "auto"))
    )
    assert by_auto < 0.65 * by_all


def test_learned_edges_can_be_passed_again():
    for shape in [(), (2,)]:
        X = collections(shape=shape)
        transformer = HistogramTransformer(5).fit(X)
        again = HistogramTransformer(transformer.bin_edges_).fit(collections(1, shape))
        assert_array_equal(again.transform(X), transformer.transform(X))


# --- What is out of range ---


def test_out_of_range_counts_at_both_ends_or_clips_or_refuses():
    fitted = [[0.0, 1.0, 2.0]]
    new = [[-5, 0.5, 1.5], [2, 7, 8]]
    assert_array_equal(HistogramTransformer(2).fit(fitted).transform(new), [[1, 1, 1, 0], [0, 0, 1, 2]])
    assert_array_equal(HistogramTransformer(2, out_of_range="clip").fit(fitted).transform(new), [[2, 1], [0, 3]])
    strict = HistogramTransformer(2, out_of_range="error").fit(fitted)
    assert_array_equal(strict.transform([[0, 2, 2]]), [[1, 2]])
    with pytest.raises(ValueError, match=r"X\[1\]\[1\] = 7 lies outside of the bins, .* 0\.0 to 2\.0\. .*='bins'"):
        strict.transform([[1, 2], [2, 7, 8]])
    with pytest.raises(ValueError, match=r"X\[2\] = 7 \(group 'b'\) lies outside"):
        strict.transform([1, 2, 7, 8], groups=["a", "a", "b", "b"])
    strict.fit([[[0.0, 0.0], [1.0, 1.0]]])
    with pytest.raises(ValueError, match=r"X\[0\]\[1, 1\] = 3 lies outside"):
        strict.transform([[[1, 1], [0, 3]]])


# --- A codebook ---


def test_a_codebook_counts_the_nearest_prototype_in_any_number_of_dimensions():
    X = collections(shape=(30,))
    transformer = HistogramTransformer(6, strategy="kmeans", random_state=0).fit(X)
    assert transformer.codebook_.shape == (6, 30)
    nearest = [np.linalg.norm(array[:, None] - transformer.codebook_, axis=2).argmin(axis=1) for array in X]
    assert_array_equal(transformer.transform(X), [np.bincount(each, minlength=6) for each in nearest])
    assert_array_equal(transformer.get_feature_names_out(), [f"codeword {k}" for k in range(6)])
    assert not hasattr(transformer, "bin_edges_")


def test_a_codebook_finds_what_is_apart():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(4, 10)) * 50
    X = [places[rng.integers(4, size=100)] + rng.normal(size=(100, 10)) for _ in range(5)]
    codebook = HistogramTransformer(4, strategy="kmeans", random_state=0).fit(X).codebook_
    assert_allclose(np.linalg.norm(codebook[:, None] - places, axis=2).min(axis=1), 0, atol=1)


def test_the_random_state_determines_a_codebook():
    X = collections(shape=(2,))
    one, other = (HistogramTransformer(5, strategy="kmeans", random_state=3).fit(X).codebook_ for _ in range(2))
    assert_array_equal(one, other)


def test_a_codebook_of_few_different_observations_is_small_and_says_so():
    with pytest.warns(UserWarning, match="there are 2 bins in place of 3"):
        transformer = HistogramTransformer(3, strategy="kmeans", random_state=0).fit([[1.0, 1.0], [5.0, 1.0]])
    assert_array_equal(transformer.codebook_, [[1], [5]])
    with pytest.raises(ValueError, match="bins = 9, but X has only 3 observations"):
        HistogramTransformer(9, strategy="kmeans").fit([[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match=r"bins = 'auto', but strategy='kmeans' needs the number"):
        HistogramTransformer(strategy="kmeans").fit([[1.0, 2.0, 3.0]])


# --- Categories ---

TEXTS = ["the cat and the dog", "a dog", "and and and the cat"]


@pytest.mark.parametrize("dtype", [None, object, str, np.dtypes.StringDType()], ids=str)
def test_categories_are_counted_as_words_are(dtype):
    X = [text.split() for text in TEXTS]
    if dtype is not None:
        X = [np.array(words, dtype=dtype) for words in X]
    vectorizer = CountVectorizer(analyzer=str.split)
    expected = vectorizer.fit_transform(TEXTS).toarray()
    transformer = HistogramTransformer().fit(X)
    assert_array_equal(transformer.categories_, vectorizer.get_feature_names_out())
    assert_array_equal(transformer.get_feature_names_out(), [*vectorizer.get_feature_names_out(), "(unknown)"])
    assert_array_equal(transformer.transform(X), np.hstack([expected, np.zeros((3, 1))]))
    new = ["a bird and a fish", "dog"]
    expected = np.hstack([vectorizer.transform(new).toarray(), [[2], [0]]])
    assert_array_equal(transformer.transform([text.split() for text in new]), expected)


def test_integers_are_categories_on_request():
    X = [[3, 10, 3], [7]]
    transformer = HistogramTransformer(strategy="categories").fit(X)
    assert_array_equal(transformer.categories_, [3, 7, 10])
    assert_array_equal(transformer.get_feature_names_out(), ["3", "7", "10", "(unknown)"])
    assert_array_equal(transformer.transform([[3, 4, 10, 10.0, 3.5]]), [[1, 0, 2, 2]])


def test_booleans_are_categories():
    transformer = HistogramTransformer().fit([[True, False], [True]])
    assert_array_equal(transformer.get_feature_names_out(), ["False", "True", "(unknown)"])
    assert_array_equal(transformer.transform([np.array([True, True])]), [[0, 2, 0]])


@pytest.mark.parametrize(("bins", "X"), [(["b", "a"], [["a", "c", "c"]]), ([20, 10], [[10, 30, 30]])])
def test_categories_can_be_given(bins, X):
    transformer = HistogramTransformer(bins, strategy="categories").fit(X)
    assert_array_equal(transformer.categories_, sorted(bins))
    assert_array_equal(transformer.transform(X), [[1, 0, 2]])


def test_a_list_of_categories_is_not_made_text_silently():
    with pytest.raises(TypeError, match=r"bins\[1\] = 1, but observations must all be numbers, or all be text"):
        HistogramTransformer(["a", 1]).fit([["a", "1"]])


def test_unknown_categories_can_be_an_error():
    transformer = HistogramTransformer(out_of_range="error").fit([["a", "b"]])
    assert_array_equal(transformer.get_feature_names_out(), ["a", "b"])
    assert_array_equal(transformer.transform([["b", "b"], []]), [[0, 2], [0, 0]])
    with pytest.raises(ValueError, match=r"X\[1\]\[0\] = 'c' is none of the 2 fitted categories\. .*='bins'"):
        transformer.transform([["a"], ["c"]])


def test_many_categories_are_counted_in_sparse_rows():
    words = [[f"word {i}" for i in np.random.default_rng(seed).integers(50_000, size=300)] for seed in range(40)]
    dense, sparse = (HistogramTransformer(sparse_output=sparse).fit_transform(words) for sparse in (False, True))
    assert sparse.format == "csr"
    assert_array_equal(sparse.toarray(), dense)
    assert sparse.has_canonical_format


# --- Forms of input ---


@pytest.mark.parametrize("shape", [(), (1,), (2,)])
def test_one_long_array_with_groups_gives_the_same_rows(shape):
    X = collections(shape=shape)
    values, groups = long(X)
    by_list, by_groups = HistogramTransformer(4).fit(X), HistogramTransformer(4).fit(values, groups=groups)
    assert_array_equal(by_groups.groups_, list("abcde"))
    assert not hasattr(by_list, "groups_")
    for got, expected in zip(by_groups.bin_edges_, by_list.bin_edges_, strict=True):
        assert_array_equal(got, expected)
    assert_array_equal(by_groups.transform(values, groups=groups), by_list.transform(X))
    assert_array_equal(by_groups.transform(X), by_list.transform(values, groups=groups))


CONTAINERS = {
    "lists": lambda arrays: [array.tolist() for array in arrays],
    "tuple": tuple,
    "pandas": lambda arrays: [pd.Series(array, index=range(7, 7 + len(array))) for array in arrays],
    "nullable pandas": lambda arrays: [pd.Series(array, dtype="Float64") for array in arrays],
    "objects": lambda arrays: [np.array(array.tolist(), dtype=object) for array in arrays],
    "series of lists": lambda arrays: pd.Series([array.tolist() for array in arrays], index=list("abcde")),
    "array of arrays": lambda arrays: np.array([*arrays, None], dtype=object)[:-1],
    "columns": lambda arrays: [array[:, np.newaxis] for array in arrays],
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_collections_come_in_many_containers(container):
    X = collections()
    expected = HistogramTransformer().fit_transform(X)
    assert_array_equal(HistogramTransformer().fit_transform(CONTAINERS[container](X)), expected)


@pytest.mark.exhaustive
def test_collections_come_as_series_of_polars():
    import polars as pl

    X = collections()
    expected = HistogramTransformer().fit_transform(X)
    for given in ([pl.Series(array) for array in X], pl.Series([array.tolist() for array in X])):
        assert_array_equal(HistogramTransformer().fit_transform(given), expected)


def test_each_row_of_an_array_is_a_collection():
    X = np.random.default_rng(0).normal(size=(4, 30))
    assert_array_equal(HistogramTransformer(5).fit_transform(X), HistogramTransformer(5).fit_transform(list(X)))
    X = np.random.default_rng(0).normal(size=(4, 30, 2))
    assert_array_equal(HistogramTransformer(5).fit_transform(X), HistogramTransformer(5).fit_transform(list(X)))


FRAMES = {
    "pandas": lambda data: pd.DataFrame(data),
    "nullable pandas": lambda data: pd.DataFrame(data).convert_dtypes(),
    "arrow": lambda data: pd.DataFrame(data).astype({"who": "category"}),
}


@pytest.mark.parametrize("frame_of", [*FRAMES.values(), POLARS], ids=[*FRAMES, None])
def test_long_frames_give_their_names_to_dimensions(frame_of):
    X = collections(shape=(2,))
    values, groups = long(X)
    frame = frame_of({"width": values[:, 0], "height": values[:, 1], "who": groups, "day": groups})
    points = frame[["width", "height"]]
    transformer = HistogramTransformer(2).fit(points, groups=frame["who"])
    assert_array_equal(transformer.feature_names_in_, ["width", "height"])
    assert_array_equal(transformer.groups_, list("abcde"))
    rows = transformer.transform(points, groups=frame["who"])
    assert_array_equal(rows, HistogramTransformer(2).fit_transform(X))
    assert_array_equal(
        HistogramTransformer().fit_transform(frame["day"], groups=frame["who"]), np.diag([*SIZES, 0])[:-1]
    )
    with pytest.raises(ValueError, match="Column 0 of X is 'height' and of the fitted X 'width'"):
        transformer.transform(frame[["height", "width"]], groups=frame["who"])


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (np.array([3, 1, 3]), [1, 3]),
        (["x", "b", "x"], ["b", "x"]),
        (pd.Series(["x", "b", "x"], dtype="category"), ["b", "x"]),
        (pd.to_datetime(["2024-05-02", "2024-05-01", "2024-05-02"]), np.array(["2024-05-01", "2024-05-02"], "M8[ns]")),
    ],
)
def test_rows_are_in_the_order_of_the_groups(groups, names):
    transformer = HistogramTransformer([0, 1, 2])
    assert_array_equal(transformer.fit_transform([0.5, 1.5, 1.7], groups=groups), [[0, 0, 1, 0], [0, 1, 1, 0]])
    assert_array_equal(transformer.groups_, names)


def test_a_collection_without_observations_is_a_row_of_zeros():
    transformer = HistogramTransformer(3).fit([[], [1.0, 2.0, 4.0], []])
    expected = [[0] * 5, [0, 1, 1, 1, 0], [0] * 5]
    assert_array_equal(transformer.transform([[], [1.0, 2.0, 4.0], []]), expected)
    assert_array_equal(transformer.transform([[], []]), np.zeros((2, 5)))
    assert_array_equal(HistogramTransformer().fit_transform([["a"], []]), [[1, 0], [0, 0]])


def test_input_is_not_modified():
    values, groups = long(collections(shape=(2,)))
    before = values.copy(), groups.copy()
    HistogramTransformer(3, out_of_range="clip").fit(values, groups=groups).transform(2 * values, groups=groups)
    assert_array_equal(values, before[0])
    assert_array_equal(groups, before[1])


# --- Names of bins and rows ---


def test_names_of_intervals():
    def names(edges, **parameters):
        return HistogramTransformer(edges, **parameters).fit([[0.5]]).get_feature_names_out().tolist()

    assert names([0, 0.5, 1]) == ["(-inf, 0)", "[0, 0.5)", "[0.5, 1]", "(1, inf)"]
    assert names([0, 0.5, 1], out_of_range="clip") == ["[0, 0.5)", "[0.5, 1]"]
    assert names([-0.0, 1 / 3, 1], out_of_range="clip") == ["[0, 0.333)", "[0.333, 1]"]
    assert names([12345, 12346, 1234567], out_of_range="clip") == ["[12345, 12346)", "[12346, 1234567]"]
    assert names([1e-9, 2e-9], out_of_range="clip") == ["[1e-09, 2e-09]"]
    assert names([1, np.nextafter(1, 2)], out_of_range="clip") == ["[1.0, 1.0000000000000002]"]


def test_names_in_several_dimensions_say_which():
    points = [[[0.5, 1.5], [0, 1]]]
    transformer = HistogramTransformer([[0, 1], [1, 1.5, 2]], out_of_range="clip").fit(points)
    assert transformer.get_feature_names_out().tolist() == [
        "x0 in [0, 1], x1 in [1, 1.5)", "x0 in [0, 1], x1 in [1.5, 2]"
    ]  # fmt: skip
    assert transformer.get_feature_names_out(["a", "b"])[0] == "a in [0, 1], b in [1, 1.5)"
    names = transformer.set_params(out_of_range="bins", bins=3).fit(points).get_feature_names_out()
    assert len(set(names)) == len(names) == transformer.n_bins_ == 25


@pytest.mark.parametrize("edges", [*product([0.1, 1, 1e6], [3, 40])], ids=str)
def test_names_of_intervals_differ_and_are_nearly_exact(edges):
    start, n = edges
    X = [start + np.random.default_rng(0).lognormal(size=500)]
    transformer = HistogramTransformer(n, strategy="quantile", out_of_range="clip").fit(X)
    names, exact = transformer.get_feature_names_out(), transformer.bin_edges_[0]
    assert len(set(names)) == n
    shown = np.array([[float(part) for part in name.strip("[)]").split(", ")] for name in names])
    assert np.abs(shown - np.column_stack([exact[:-1], exact[1:]])).max() <= np.diff(exact).min() / 1000


def test_a_pandas_frame_has_the_groups_as_its_index():
    values, groups = long(collections())
    transformer = HistogramTransformer(3).set_output(transform="pandas")
    expected = HistogramTransformer(3).fit_transform(values, groups=groups)
    for X in (values, pd.Series(values, index=range(5, 5 + len(values)))):
        for rows in (transformer.fit_transform(X, groups=groups), transformer.transform(X, groups=groups)):
            assert rows.index.tolist() == list("abcde")
            assert rows.columns.tolist() == transformer.get_feature_names_out().tolist()
            assert_array_equal(rows.to_numpy(), expected)
    with config_context(transform_output="pandas"):
        assert HistogramTransformer(3).fit_transform(values, groups=groups).index.tolist() == list("abcde")


def test_a_pandas_frame_has_the_index_of_a_series_of_collections():
    frame = pd.DataFrame({"who": ["y", "x", "y"], "day": [1, 1, 2], "value": [0.5, 1.5, 2.5]})
    X = frame.groupby(["who", "day"])["value"].agg(list)
    rows = HistogramTransformer(3).set_output(transform="pandas").fit_transform(X)
    assert rows.index.equals(X.index)


@pytest.mark.exhaustive
def test_a_polars_frame_has_the_names_of_the_bins():
    import polars as pl

    values, groups = long(collections())
    transformer = HistogramTransformer(3).set_output(transform="polars")
    rows = transformer.fit_transform(pl.Series(values), groups=pl.Series(groups))
    assert rows.columns == transformer.get_feature_names_out().tolist()
    assert_array_equal(rows.to_numpy(), HistogramTransformer(3).fit_transform(values, groups=groups))


@pytest.mark.parametrize("frame", [pd.DataFrame, POLARS])
def test_frames_in_a_list_give_their_names_and_must_agree_in_them(frame):
    one, other = frame({"b": [1.0, 2.0], "a": [5.0, 7.0]}), frame({"b": [3.0], "a": [6.0]})
    transformer = HistogramTransformer(2).fit([one, np.array([[1.0, 6.0]]), other])
    assert_array_equal(transformer.feature_names_in_, ["b", "a"])
    assert transformer.get_feature_names_out()[0] == "b in (-inf, 1), a in (-inf, 5)"
    with pytest.raises(ValueError, match=r"Column 0 of X\[0\] is 'b' and of X\[1\] 'a'.*X\[1\]\[X\[0\]\.columns\]"):
        transformer.fit([one, other[["a", "b"]]])
    with pytest.raises(ValueError, match="Column 0 of X is 'a' and of the fitted X 'b'"):
        transformer.transform([other[["a", "b"]]])


# --- Refusals ---

X_AND_REASONS = [
    ([0.5, 1.5], ValueError, r"X\[0\] = 0\.5 is a single value.* \[X\] .*needs groups="),
    (pd.Series([0.5, 1.5]), ValueError, r"X\[0\] = 0\.5 is a single value"),
    (["cat", "dog"], ValueError, r"X\[0\] = 'cat' is a single value"),
    ("cat", ValueError, r"X\[0\] = 'c' is a single value"),
    (3, TypeError, "X = 3 is no sequence of collections"),
    (None, TypeError, "X = None is no sequence of collections"),
    ([], ValueError, "X has 0 collections of observations, but a minimum of 1"),
    ([[], []], ValueError, "X has no observations at all"),
    ([[1.0], [2.0, np.nan]], ValueError, r"contains NaN: X\[1\]\[1\] = nan\. No bin .* x\[numpy\.isfinite\(x\)\]"),
    ([[[1.0, 2.0]], [[2.0, -np.inf]]], ValueError, r"contains inf or -inf: X\[1\]\[0, 1\] = -inf"),
    ([["a"], ["b", None]], TypeError, r"X\[1\]\[1\] = None, .*Drop those that are missing"),
    ([["a", np.nan]], TypeError, r"X\[0\]\[1\] = nan, but observations must all be numbers, or all be text"),
    ([[1, "a"]], TypeError, r"X\[0\]\[1\] = 'a', but observations must all be numbers"),
    ([pd.Series([1, None], dtype="Int64").astype(object)], TypeError, r"X\[0\]\[1\] = <NA>"),
    ([[1], ["a"]], ValueError, r"X\[1\] holds text and X\[0\] numbers"),
    ([["a"], [1]], ValueError, r"X\[0\] holds text and X\[1\] numbers"),
    ([[1, 2], [[1, 2]]], ValueError, r"X\[1\] has 2 dimensions and X\[0\] has 1"),
    ([[[1, 2], [3]]], ValueError, r"X\[0\] is no array, because its entries differ in length"),
    (np.ones((2, 2, 2, 2)), ValueError, r"X\[0\] has the shape \(2, 2, 2\), but observations have the shape \(n,\)"),
    (np.ones((2, 3, 0)), ValueError, r"X\[0\] has the shape \(3, 0\): its observations have no dimension"),
    ([[1 + 2j]], ValueError, r"Complex data not supported: X\[0\] has dtype complex128"),
    ([np.array(["2024-01-01"], "M8[D]")], TypeError, r"X\[0\] has dtype datetime64\[D\].*numbers of seconds"),
    ([[b"a"]], TypeError, r"X\[0\] has dtype \|S1.*bytes to strings"),
    (sp.csr_array(np.eye(3)), TypeError, "Sparse data was passed for X"),
    (np.ma.masked_equal(np.eye(3), 0), TypeError, "X is a masked array"),
    ([np.ma.masked_equal([1, 2], 1)], TypeError, "X is a list with a masked array"),
    ({"a": [1, 2]}, TypeError, r"X is a dictionary .* pass list\(X\.values\(\)\)"),
    (pd.DataFrame([[1, 2], [3, 4]]), ValueError, r"X is a frame.*groups=.*X\.to_numpy\(\).*X\.to_numpy\(\)\.T"),
]


@pytest.mark.parametrize(("X", "error", "reason"), X_AND_REASONS, ids=[reason for *_, reason in X_AND_REASONS])
def test_collections_that_are_refused(X, error, reason):
    with pytest.raises(error, match=reason):
        HistogramTransformer().fit(X)


@pytest.mark.exhaustive
def test_frames_of_polars_are_refused():
    import polars as pl

    with pytest.raises(ValueError, match="X is a frame"):
        HistogramTransformer().fit(pl.DataFrame([[1, 2], [3, 4]]))
    with pytest.raises(TypeError, match=r"pass X\.collect\(\)"):
        HistogramTransformer().fit(pl.LazyFrame([[1, 2], [3, 4]]))


FRAME = pd.DataFrame({"city": ["oslo", "rome", "oslo", "rome"], "x": [1.0, 2, 3, 4], "y": [1.0, 2, 3, 4]})


@pytest.mark.parametrize(
    ("grouped", "of_group"),
    [
        (FRAME.groupby("city")["x"], lambda group: group),
        (FRAME.groupby("city")[["x", "y"]], lambda group: group["x"]),
        (FRAME.groupby("city"), lambda group: group["x"]),
        pytest.param("polars", lambda group: group["x"], marks=pytest.mark.exhaustive),
    ],
    ids=["series", "columns", "frame", "polars"],
)
def test_a_grouped_frame_is_refused_with_what_to_pass_in_its_place(grouped, of_group):
    if isinstance(grouped, str):
        import polars as pl

        grouped = pl.DataFrame(FRAME.to_dict("list")).group_by("city", maintain_order=True)
    written = "group" if "Series" in type(grouped).__name__ else "group['x']"
    with pytest.raises(
        TypeError, match=rf"GroupBy.*\[{re.escape(written)} for _, group in X\].*groups=frame\['city'\]"
    ):
        HistogramTransformer().fit(grouped)
    expected = HistogramTransformer(bins=3).fit_transform(FRAME["x"], groups=FRAME["city"])
    counts = HistogramTransformer(bins=3).fit_transform([of_group(group) for _, group in grouped])
    assert_array_equal(counts, expected)


GROUPS_AND_REASONS = [
    ([1.0, 2.0], ["a", None], ValueError, r"groups\[1\] = None, but every observation needs a group"),
    ([1.0, 2.0], ["a", np.nan], ValueError, r"groups\[1\] = nan"),
    ([1.0, 2.0], [1, np.nan], ValueError, r"groups\[1\] = nan"),
    ([1.0, 2.0], pd.Series([1, None], dtype="Int64").astype(object), ValueError, r"groups\[1\] = <NA>"),
    ([1.0, 2.0], pd.to_datetime(["2024-01-01", None]), ValueError, r"groups\[1\] = NaT"),
    ([1.0, 2.0], ["a", 1], TypeError, r"groups holds objects of the types \['int', 'str'\]"),
    ([1.0, 2.0], ["a"], ValueError, r"each of the 2 observations in X, but its shape is \(1,\)"),
    ([1.0, 2.0], [["a"], ["b"]], ValueError, r"its shape is \(2, 1\)"),
    ([1.0, 2.0], np.ma.masked_equal([1, 2], 1), TypeError, "groups is a masked array"),
    ([[1.0], [2.0, 3.0]], ["a", "b"], ValueError, "X is no array, .* with groups= it must be one long array"),
    ([1.0, np.nan], ["a", "b"], ValueError, r"contains NaN: X\[1\] = nan \(group 'b'\)"),
    ([1.0, np.inf], [7, 8], ValueError, r"X\[1\] = inf \(group 8\)"),
    (pd.DataFrame({"x": [1], "who": ["a"]}), ["a"], TypeError, r"X\[0, 1\] = 'a', but observations must all be"),
    ([], [], ValueError, "X has 0 observations"),
]


@pytest.mark.parametrize(
    ("X", "groups", "error", "reason"), GROUPS_AND_REASONS, ids=[reason for *_, reason in GROUPS_AND_REASONS]
)
def test_groups_that_are_refused(X, groups, error, reason):
    with pytest.raises(error, match=reason):
        HistogramTransformer().fit(X, groups=groups)


POINTS = [[[0.0, 1.0], [1.0, 5.0]]]
PARAMETERS_AND_REASONS = [
    ({"bins": [0, 1, 1, 2]}, [[0.5]], "edge 1 is 1.0 and edge 2 is 1.0, but edges must ascend"),
    ({"bins": [0, np.nan]}, [[0.5]], "edge 1 is nan, but edges must be finite"),
    ({"bins": [-np.inf, 1]}, [[0.5]], "edge 0 is -inf, but edges must be finite. What lies beyond"),
    ({"bins": [1]}, [[0.5]], "must be a vector of two or more numbers"),
    ({"bins": ["a", "b"]}, [[0.5]], "must be a vector of two or more numbers"),
    ({"bins": [[[0, 1], [1, 2]]]}, [[0.5]], "must be a vector of two or more numbers"),
    ({"bins": []}, [[0.5]], "bins is a list of 0, but the observations in X have 1 dimensions"),
    ({"bins": [2, 3, 4]}, POINTS, "bins is a list of 3, but the observations in X have 2 dimensions"),
    ({"bins": [2, 0]}, POINTS, "bins = 0, but there must be 1 bin at the least"),
    ({"bins": [2, "many"]}, POINTS, "bins = 'many' is no rule of NumPy"),
    ({"bins": 2000}, POINTS, r"2002 x 2002 = 4,008,004 bins, and at most 1,048,576 .*strategy='kmeans'"),
    (
        {"bins": "fd"},
        [[*range(99), 1e18]],
        r"makes 4\.\d*e\+16 bins of .* Pass a smaller number, or strategy='quantile'",
    ),
    ({"bins": 10**9}, [[1, 2]], r"bins = 1000000000 makes 1e\+09 bins .* at most 1,048,576 are allowed"),
    ({"bins": 3}, [[-1e308, 1.1e308]], "the difference is beyond the largest number of double precision"),
    ({"strategy": "uniform"}, [["a"]], "strategy = 'uniform' needs numbers, but X holds text"),
    ({"strategy": "kmeans", "bins": 1}, [["a"]], "strategy = 'kmeans' needs numbers, but X holds text"),
    ({"bins": 3}, [["a"]], "bins = 3, but categories have one bin each"),
    ({"bins": [1, 2]}, [["a"]], "must both be text, or both be numbers"),
    ({"out_of_range": "clip"}, [["a"]], "out_of_range = 'clip' has no meaning for categories"),
    ({"strategy": "categories"}, POINTS, "have 2 dimensions, but categories have one. Join the columns"),
]


@pytest.mark.parametrize(
    ("parameters", "X", "reason"), PARAMETERS_AND_REASONS, ids=[reason for *_, reason in PARAMETERS_AND_REASONS]
)
def test_parameters_that_do_not_fit_the_observations(parameters, X, reason):
    with pytest.raises(ValueError, match=reason):
        HistogramTransformer(**parameters).fit(X)


def test_other_observations_than_the_fitted_ones_are_refused():
    transformer = HistogramTransformer(2).fit([[1.0, 2.0]])
    with pytest.raises(ValueError, match="X have 2 dimensions, but those in the fitted X had 1"):
        transformer.transform(POINTS)
    with pytest.raises(ValueError, match="X holds text, but the fitted X held numbers"):
        transformer.transform([["a"]])
    with pytest.raises(ValueError, match="X holds numbers, but the fitted X held text"):
        HistogramTransformer().fit([["a"]]).transform([[1.0]])
    with pytest.raises(NotFittedError):
        HistogramTransformer().transform([[1.0]])


def test_counts_that_do_not_fit_into_memory_are_refused_before(monkeypatch):
    transformer = HistogramTransformer(1_000_000).fit([[0.0, 1.0]])
    monkeypatch.setattr("skdiv._utils.memory.available_memory", lambda: 2**30)
    with pytest.raises(MemoryError, match=r"The matrix of the counts of 200 .*Pass sparse_output=True, or fewer bins"):
        transformer.transform([[0.5]] * 200)
    assert transformer.set_params(sparse_output=True).transform([[0.5]] * 200).nnz == 200


def test_a_failed_refit_leaves_the_transformer_as_it_was():
    X = collections()
    transformer = HistogramTransformer(3).fit(X)
    before = transformer.transform(X)
    with pytest.raises(ValueError, match="NaN"):
        transformer.fit([[np.nan]])
    assert_array_equal(transformer.transform(X), before)


def test_a_refit_forgets_the_attributes_of_the_fit_before():
    values, groups = long(collections())
    transformer = HistogramTransformer().fit(pd.DataFrame({"x": values}), groups=groups)
    transformer.fit([["a"]])
    fitted = {name for name in vars(transformer) if name.endswith("_") and not name.startswith("_")}
    assert fitted == {"categories_", "n_bins_", "n_features_in_"}


# --- scikit-learn ---

OBSERVATIONS = "takes the columns of a row for features, but they are the observations of one collection"
EXPECTED_FAILURES = {
    "check_n_features_in": OBSERVATIONS,
    "check_n_features_in_after_fitting": OBSERVATIONS,
    "check_transformer_general": OBSERVATIONS,
    "check_estimators_empty_data_messages": OBSERVATIONS,
}
if parse_version(sklearn.__version__) < parse_version("1.7"):
    EXPECTED_FAILURES["check_positive_only_tag_during_fit"] = "takes a mean from whole numbers, in place, and fails"


@pytest.mark.sampled(40)
@parametrize_with_checks(
    [
        HistogramTransformer(),
        HistogramTransformer(4, strategy="quantile", sparse_output=True),
        HistogramTransformer(strategy="categories"),
        HistogramTransformer(2, strategy="kmeans", random_state=0),
    ],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
@pytest.mark.filterwarnings("ignore:Of . (quantiles|prototypes)")
def test_scikit_learns_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else the check of array API input is skipped
    check(estimator)


@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans", "categories"])
def test_a_clone_and_a_pickle_count_the_same(strategy):
    X = [np.round(array, 1) for array in collections()]
    bins = "auto" if strategy == "categories" else 4
    transformer = HistogramTransformer(bins, strategy=strategy, random_state=0).fit(X)
    expected = transformer.transform(X)
    assert_array_equal(pickle.loads(pickle.dumps(transformer)).transform(X), expected)
    assert_array_equal(clone(transformer).fit_transform(X), expected)
    assert_array_equal(HistogramTransformer(**transformer.get_params()).fit_transform(X), expected)


def test_a_pipeline_clusters_collections_and_labels_new_ones():
    X, origins = planted(15, seed=0)
    pipeline = make_pipeline(HistogramTransformer(), DivergenceClustering(3))
    assert adjusted_rand_score(pipeline.fit_predict(X), origins) == 1
    new, new_origins = planted(10, seed=1)
    labels = clone(pipeline).fit(X).predict(new)
    assert adjusted_rand_score(labels, new_origins) == 1
    means = np.array([[array.mean(), array.std()] for array in X])
    assert means[origins == 0, 0].mean() == pytest.approx(means[origins == 1, 0].mean(), abs=0.1)


def test_a_grid_search_chooses_among_bins():
    X, origins = planted(10, seed=0)
    pipeline = make_pipeline(HistogramTransformer(random_state=0), DivergenceClustering(3))
    grid = {"histogramtransformer__bins": [2, 20], "histogramtransformer__strategy": ["uniform", "kmeans"]}
    search = GridSearchCV(pipeline, grid, scoring=make_scorer(adjusted_rand_score), cv=2).fit(X, origins)
    assert search.best_params_["histogramtransformer__bins"] == 20
    assert search.best_score_ > 0.9


def test_groups_are_routed_through_a_pipeline():
    X, origins = planted(8, seed=0)
    values, groups = long(X, [f"{i:02d}" for i in range(24)])
    with config_context(enable_metadata_routing=True):
        transformer = HistogramTransformer().set_fit_request(groups=True).set_transform_request(groups=True)
        pipeline = make_pipeline(transformer, DivergenceClustering(3)).fit(values, groups=groups)
        assert adjusted_rand_score(pipeline[-1].labels_, origins) == 1
        assert adjusted_rand_score(pipeline.predict(values, groups=groups), origins) == 1
        assert_array_equal(pipeline.fit_predict(values, groups=groups), pipeline[-1].labels_)
        assert pipeline.transform(values, groups=groups).shape == (24, 3)
    assert_array_equal(pipeline[0].groups_, np.unique(groups))


def test_without_routing_groups_reach_the_fit_by_the_name_of_the_step():
    X, origins = planted(8, seed=0)
    values, groups = long(X, [f"{i:02d}" for i in range(24)])
    pipeline = make_pipeline(HistogramTransformer(), DivergenceClustering(3))
    assert adjusted_rand_score(pipeline.fit_predict(values, histogramtransformer__groups=groups), origins) == 1
    assert adjusted_rand_score(pipeline.predict(X), origins) == 1


def test_messages_about_rows_name_their_groups():
    transformer = HistogramTransformer(2).set_output(transform="pandas")
    rows = transformer.fit_transform([0.1, 0.9, 0.5], groups=["oslo", "oslo", "rome"])
    with pytest.raises(ValueError, match=r"X\[1\] \('rome'\) sums to 0"):
        pairwise_divergences(rows.mul([1, 0], axis=0))


# --- Declared categories, large integers, numbers far from 0 ---

GIVEN = ["small", "medium", "large", "huge"]  # which is not their alphabetical order; none is huge
DECLARED = {
    "pandas Series": lambda x, c: pd.Series(pd.Categorical(x, categories=c, ordered=True)),
    "unordered Series": lambda x, c: pd.Series(pd.Categorical(x, categories=c)),
    "Categorical": lambda x, c: pd.Categorical(x, categories=c, ordered=True),
    "frame of one column": lambda x, c: pd.DataFrame({"x": pd.Categorical(x, categories=c, ordered=True)}),
    "polars Enum": lambda x, c: polars().Series(x, dtype=polars().Enum(c)),
}


def polars():
    return importlib.import_module("polars")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.exhaustive] * kind.startswith("polars")) for kind in DECLARED]
)
@pytest.mark.parametrize("long", [False, True])
def test_declared_categories_keep_their_order_and_have_a_bin_even_if_none_is_observed(kind, long):
    values = ["large", "small", "medium", "large"]
    declare = DECLARED[kind]
    transformer = HistogramTransformer()
    if long:
        rows = transformer.fit_transform(declare(values, GIVEN), groups=["a", "a", "b", "b"])
    else:
        rows = transformer.fit_transform([declare(values[:2], GIVEN), declare(values[2:], GIVEN)])
    assert transformer.get_feature_names_out().tolist() == [*GIVEN, "(unknown)"]
    assert_array_equal(rows, [[1, 0, 1, 0, 0], [0, 1, 1, 0, 0]])
    assert_array_equal(transformer.transform([["huge", "tiny"]]), [[0, 0, 0, 1, 1]])


@pytest.mark.parametrize("categories", [[10115, 20095, 80331], [80331, 10115, 20095, 1]])
def test_numbers_that_are_declared_categories_are_no_intervals(categories):
    codes = pd.Series(pd.Categorical([10115, 20095, 80331, 10115], categories=categories))
    transformer = HistogramTransformer().fit(codes, groups=list("aabb"))
    assert transformer.get_feature_names_out().tolist() == [*map(str, categories), "(unknown)"]
    expected = [[sum(codes.iloc[part] == each) for each in categories] + [0] for part in (slice(2), slice(2, 4))]
    assert_array_equal(transformer.transform(codes, groups=list("aabb")), expected)
    assert "[" in HistogramTransformer(strategy="uniform").fit([codes]).get_feature_names_out()[1]


@pytest.mark.exhaustive
def test_polars_categoricals_are_categories():
    transformer = HistogramTransformer().fit([polars().Series(["b", "a"], dtype=polars().Categorical)])
    assert transformer.get_feature_names_out().tolist() == ["a", "b", "(unknown)"]


def test_orders_of_categories_that_contradict_each_other_are_refused():
    one, other = (pd.Categorical(["a"], categories=each, ordered=True) for each in (["a", "b"], ["b", "a"]))
    with pytest.raises(ValueError, match=r"X\[1\] has the ordered categories \['b', 'a'\] and X\[0\] has \['a', 'b'\]"):
        HistogramTransformer().fit([one, other])
    repaired = [pd.Series(each).astype(pd.CategoricalDtype(["a", "b"], ordered=True)) for each in (one, other)]
    HistogramTransformer().fit(repaired)


def test_names_of_bins_differ_even_if_a_category_is_called_unknown():
    names = HistogramTransformer().fit([["a", "(unknown)"]]).get_feature_names_out().tolist()
    assert names == ["(unknown)", "a", "((unknown))"]


def test_integers_with_and_without_sign_are_not_joined_in_double_precision():
    large, below = np.array([2**63], dtype=np.uint64), np.array([2**63 - 1, 5])
    transformer = HistogramTransformer(strategy="categories").fit([large, below])
    assert transformer.categories_.tolist() == [5, 2**63 - 1, 2**63]
    assert_array_equal(transformer.transform([below, large]), [[1, 1, 0, 0], [0, 0, 1, 0]])
    signed = HistogramTransformer(strategy="categories").fit([below])
    assert_array_equal(signed.transform([large]), [[0, 0, 1]])
    unsigned = HistogramTransformer(strategy="categories").fit([large])
    assert_array_equal(unsigned.transform([below, np.array([-1])]), [[0, 2], [0, 1]])
    with pytest.raises(ValueError, match=r"X\[1\] holds -1 and X\[0\] 9223372036854775808"):
        HistogramTransformer(strategy="categories").fit([large, np.array([-1])])


@pytest.mark.parametrize(
    "X", [[2**62, 2**62 + 1], [1.0, np.nextafter(1, 2)], [1.7e18, 1.7e18 + 256], [2**62, 2**62]], ids=str
)
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_observations_too_near_each_other_for_edges_are_refused_with_a_remedy(X, strategy):
    X = np.array(X)
    with pytest.raises(ValueError, match=r"bins = .*, but the observations go from .*Subtract .* from all"):
        HistogramTransformer(bins=10, strategy=strategy).fit([X])
    HistogramTransformer(bins=10).fit([X - X.min()])
    HistogramTransformer(strategy="categories").fit([X])


@pytest.mark.parametrize("origin", [0.0, 1.7e9, 1.7e12, -1e13])
def test_a_codebook_is_the_same_however_far_from_zero(origin):
    x = origin + np.repeat([0.0, 10, 20, 30], 100)
    transformer = HistogramTransformer(bins=4, strategy="kmeans", random_state=0).fit([x])
    assert_allclose(transformer.codebook_[:, 0] - origin, [0, 10, 20, 30], atol=0.01)
    assert_array_equal(transformer.transform([x]), [[100] * 4])


def test_clipped_quantile_bins_give_the_population_stability_index():
    rng = np.random.default_rng(0)
    reference, current = rng.normal(0, 1, 1000), rng.normal(0.2, 1.2, 1000)
    transformer = HistogramTransformer(10, strategy="quantile", out_of_range="clip").fit([reference])
    edges = np.r_[-np.inf, transformer.bin_edges_[0][1:-1], np.inf]
    p, q = (np.histogram(x, edges)[0] / len(x) for x in (reference, current))
    rows = transformer.transform([reference, current])
    assert_allclose(divergences()["jeffreys"](*rows), ((p - q) * np.log(p / q)).sum(), rtol=1e-10)
