"""Names of bins, rows, features and states count wherever an object has them; what differs is refused, with a remedy.

The remedies are code, which the tests take out of the messages and run.
"""

import re
from collections import deque

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import POLARS
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import wasserstein_distance
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

import skdiv
from skdiv import DivergenceClustering, MiniBatchDivergenceClustering, divergences
from skdiv.embedding import DivergenceEmbedding
from skdiv.explanations import describe_clusters, divergence_contributions
from skdiv.models import (
    gaussian_divergences,
    markov_divergences,
    mixture_divergences,
    sample_divergences,
    wasserstein_divergences,
)
from skdiv.neighbors import DivergenceNeighborsTransformer
from skdiv.plotting import ClusterMapDisplay, DistributionDisplay, DivergenceMatrixDisplay
from skdiv.preprocessing import HistogramTransformer, sum_blocks
from skdiv.tables import centers_frame, divergence_frame

mpl.use("Agg")

# Letters, as pandas counts them: the most frequent one comes first.
LETTERS = [pd.Series(list(text)).value_counts() for text in ("aaaaaabbbc", "bbbbbbaaac", "ccccccbbba", "aabbbbbccc")]
TABLE = pd.DataFrame(LETTERS).fillna(0).set_axis(["one", "two", "three", "four"])
js_distance = divergences()["js_distance"]


class Table:
    """What a table of pyarrow shows: names of columns, which are no attribute ``columns``, and an array."""

    def __init__(self, frame):
        self.frame, self.shape = frame, frame.shape
        self.column_names, self.columns = list(frame.columns), [frame[name].array for name in frame.columns]

    def __array__(self, dtype=None, copy=None):
        return self.frame.to_numpy(dtype)

    def __len__(self):
        return len(self.frame)

    def select(self, names):
        return Table(self.frame[names])


def remedied(error, **arguments):
    """What the code in a message makes of the arguments: the longest code that begins where a remedy does."""
    text = re.search(r"(?:for instance|as in|as after|[Pp]ass) (.*)", str(error.value))[1].split(", or ")[0]
    code = next(filter(is_code, (text[:end].rstrip(" ,.") for end in range(len(text), 0, -1))))
    scope = {"pandas": pd, "numpy": np, **arguments}
    if " = " in code:
        exec(code, scope)
        return [scope[name] for name in arguments]
    return eval(code, scope)


def is_code(text):
    try:
        compile(text, "", "exec")
    except SyntaxError:
        return False
    return True


# --- The items of one list -------------------------------------------------------------------------------------------


def chunked(X, Y=None):
    return np.vstack(list(skdiv.divergences_chunked(X, Y)))


def of_fit(estimator, attribute, **arguments):
    return lambda X: getattr(estimator.fit(X, **arguments), attribute)


OF_ROWS = {
    "pairwise_divergences": skdiv.pairwise_divergences,
    "a second collection": lambda X: skdiv.pairwise_divergences(TABLE.to_numpy(), X),
    "condensed_divergences": skdiv.condensed_divergences,
    "divergences_chunked": chunked,
    "paired_divergences": lambda X: skdiv.paired_divergences(X, X),
    "divergence_estimates": lambda X: skdiv.divergence_estimates(X, metric="js_divergence").estimate,
    "nearest_divergences": lambda X: skdiv.nearest_divergences(X, n_neighbors=1)[0],
    "divergences_within": lambda X: skdiv.divergences_within(X, radius=0.3).toarray(),
    "entropy": skdiv.entropy,
    "cross_entropy": skdiv.cross_entropy,
    "mutual_information": skdiv.mutual_information,
    "pairwise_homogeneity": lambda X: skdiv.pairwise_homogeneity(X, n_resamples=19, random_state=0).pvalue,
    "barycenter": lambda X: skdiv.barycenter(X, sample_weight=np.arange(1, 1 + len(X))),
    "wasserstein_divergences": lambda X: wasserstein_divergences(X, positions=[1, 2, 4]),
    "divergence_contributions": lambda X: divergence_contributions(X, X),
    "sum_blocks": lambda X: np.asarray(sum_blocks(X, [0, 0, 1, 1]).X),
    "divergence_frame": divergence_frame,
    "DivergenceClustering": of_fit(DivergenceClustering(2), "linkage_matrix_"),
    "information": of_fit(DivergenceClustering(linkage="information"), "cluster_centers_", sample_weight="counts"),
    "MiniBatch": of_fit(MiniBatchDivergenceClustering(2, random_state=0), "cluster_centers_"),
    "partial_fit": lambda X: MiniBatchDivergenceClustering(2, random_state=0).partial_fit(X).cluster_centers_,
    "neighbors": lambda X: DivergenceNeighborsTransformer(n_neighbors=2).fit_transform(X).toarray(),
    "embedding": lambda X: DivergenceEmbedding().fit_transform(X),
}


few_counts = pytest.mark.filterwarnings("ignore:For .* pairs the counts are too few")


@few_counts
@pytest.mark.parametrize("function", OF_ROWS.values(), ids=OF_ROWS)
def test_series_in_a_list_are_compared_by_their_index(function):
    with pytest.raises(ValueError, match=r"^Label 0 of \w\[1\] is 'b' and of \w\[0\] 'a', but the bins") as error:
        function(LETTERS)
    X = remedied(error, **{re.search(r"of (\w)\[1\]", str(error.value))[1]: LETTERS})
    assert_allclose(np.asarray(function(X)), np.asarray(function(TABLE.to_numpy())), rtol=1e-12)
    in_order = tuple(row[["a", "b", "c"]] for row in LETTERS)
    assert_array_equal(np.asarray(function(in_order)), np.asarray(function(TABLE.to_numpy())))


@pytest.mark.parametrize(
    "rows",
    [
        [pd.Series({"a": 3, "b": 4}), pd.Series({"c": 3, "b": 4})],
        [pd.Series({"a": 3, "b": 4}), pd.Series({"c": 3, "b": 4, "a": 2})],
        [pd.Series({"a": 3, "b": 4, "c": 2}), pd.Series({"c": 3, "b": 4})],
        [pd.Series([3, 4, 5]), pd.Series({2: 3, 1: 4, 0: 1})],
        [pd.Series([1, 2], index=pd.interval_range(0, 2)), pd.Series([1, 2], index=pd.interval_range(1, 3))],
        [pd.Series([3, 4]), pd.Series({"a": 3, "b": 4}), pd.Series({"b": 3, "a": 4})],
    ],
)
def test_series_over_other_bins_are_refused(rows):
    with pytest.raises(ValueError, match=r"Label \d of X\[\d\] is .*, but the bins of both") as error:
        skdiv.pairwise_divergences(rows)
    if len(rows) == 2:  # else it is not known which bins the first has
        table = pd.DataFrame(rows).fillna(0)
        assert_array_equal(skdiv.pairwise_divergences(remedied(error, X=rows)), skdiv.pairwise_divergences(table))


def test_items_without_labels_are_matched_by_their_positions():
    a, b = LETTERS[0], LETTERS[1][["a", "b", "c"]]
    expected = skdiv.pairwise_divergences([[6, 3, 1], [3, 6, 1]])
    for rows in (
        [a, b.to_numpy()],
        [list(a), b],
        [a.reset_index(drop=True), b],
    ):
        assert_array_equal(skdiv.pairwise_divergences(rows), expected)


def test_series_in_another_sequence_than_a_list_are_compared():
    for kind in (tuple, deque):
        with pytest.raises(ValueError, match=r"Label 0 of X\[1\] is 'b' and of X\[0\] 'a'"):
            skdiv.pairwise_divergences(kind(LETTERS))


@pytest.mark.parametrize("kind", [pd.DataFrame, POLARS])
def test_frames_in_a_list_do_not_hide_their_names(kind):
    with pytest.raises(ValueError, match=r"Label 0 of X\[1\] is 'b' and of X\[0\] 'a'"):
        skdiv.pairwise_divergences([kind({"a": [1], "b": [2]}), kind({"b": [1], "a": [2]})])


def test_messages_name_the_bins_of_series():
    rows = [pd.Series({"a": 1.0, "b": 2.0}), pd.Series({"a": 1.0, "b": -2.0})]
    with pytest.raises(ValueError, match=r"X\[1, 1\] \(column 'b'\) = -2"):
        skdiv.pairwise_divergences(rows)


# --- Two collections -------------------------------------------------------------------------------------------------

OF_PAIRS = {
    "pairwise_divergences": skdiv.pairwise_divergences,
    "divergences_chunked": chunked,
    "paired_divergences": skdiv.paired_divergences,
    "divergence_estimates": lambda X, Y: skdiv.divergence_estimates(X, Y, metric="js_divergence").estimate,
    "nearest_divergences": lambda X, Y: skdiv.nearest_divergences(X, Y, n_neighbors=1)[0],
    "divergences_within": lambda X, Y: skdiv.divergences_within(X, Y, radius=0.3).toarray(),
    "cross_entropy": lambda X, Y: skdiv.cross_entropy(X, Y, pseudocount=1),
    "wasserstein_divergences": lambda X, Y: wasserstein_divergences(X, Y, positions=range(np.shape(X)[1])),
    "divergence_frame": divergence_frame,
}
CONTAINERS = {
    "list of Series": lambda frame: [row for _, row in frame.iterrows()],
    "frame": lambda frame: frame,
    "polars": lambda frame: POLARS.values[0](frame.to_dict("list")),
    "table": Table,
}


@few_counts
@pytest.mark.parametrize("function", OF_PAIRS.values(), ids=OF_PAIRS)
@pytest.mark.parametrize(
    "of_y", [pytest.param(name, marks=[pytest.mark.exhaustive] * (name == "polars")) for name in CONTAINERS]
)
def test_two_collections_are_compared_by_their_names(function, of_y):
    expected = function(TABLE.to_numpy(), TABLE.to_numpy())
    containers = {name: each for name, each in CONTAINERS.items() if name != "polars" or of_y == "polars"}
    for of_x, container in containers.items():
        X, Y = container(TABLE), CONTAINERS[of_y](TABLE[["c", "a", "b"]])
        with pytest.raises(ValueError, match=r"^\w+ 0 of X is 'a' and of Y 'c', but the bins") as error:
            function(X, Y)
        assert_array_equal(np.asarray(function(X, remedied(error, X=X, Y=Y))), np.asarray(expected), err_msg=of_x)


@few_counts
@pytest.mark.parametrize("function", OF_PAIRS.values(), ids=OF_PAIRS)
@pytest.mark.parametrize("columns", [["a", "b", "d"], ["d", "b", "a", "c"], ["b", "a"]])
def test_collections_over_other_bins_get_the_bins_of_both(function, columns):
    other = pd.DataFrame(np.arange(2.0, 2 + 4 * len(columns)).reshape(4, -1), columns=columns, index=TABLE.index)
    union = ["a", "b", "c", *(["d"] if "d" in columns else [])]
    expected = function(*(frame.reindex(columns=union, fill_value=0) for frame in (TABLE, other)))
    for of_x in ("list of Series", "frame"):
        for of_y in ("list of Series", "frame"):
            X, Y = CONTAINERS[of_x](TABLE), CONTAINERS[of_y](other)
            with pytest.raises(ValueError, match="but the bins of both must be the same and in one order, as") as error:
                function(X, Y)
            assert_array_equal(np.asarray(function(*remedied(error, X=X, Y=Y))), np.asarray(expected))


# --- One distribution ------------------------------------------------------------------------------------------------


def test_two_series_are_compared_by_their_index():
    p, q = LETTERS[:2]
    expected = js_distance([6, 3, 1], [3, 6, 1])
    assert_allclose(expected, 0.22576, rtol=1e-4)
    for function in (js_distance, lambda p, q: np.sqrt(divergence_contributions(p, q).sum())):
        with pytest.raises(ValueError, match=r"Label 0 of p is 'a' and of q 'b'.*q\[p\.index\]") as error:
            function(p, q)
        assert_allclose(function(p, remedied(error, p=p, q=q)), expected, rtol=1e-12)
        for other in (pd.Series({"c": 3, "d": 1, "a": 2}), pd.Series({"c": 3, "d": 1})):
            with pytest.raises(ValueError, match="but the bins of both must be the same and in one order, as") as error:
                function(p, other)
            union = (series.reindex(list("abcd"), fill_value=0).to_numpy() for series in (p, other))
            assert_allclose(function(*remedied(error, p=p, q=other)), js_distance(*union), rtol=1e-12)


ROW = np.array([3.0, 0.0, 1.0])


def first_of(rows):
    """The first row of a sparse array; old versions of SciPy know no vectors of the formats that have rows."""
    try:
        return rows[0]
    except NotImplementedError:
        return rows[[0]]


STORED_ROWS = {
    "list": ROW.tolist(),
    "csr_array": first_of(sp.csr_array([ROW, ROW])),
    "csr_matrix": sp.csr_matrix([ROW, ROW])[0],
    "a row as a matrix": sp.csr_array([ROW, ROW])[[0]],
    "coo_array": sp.coo_array([ROW]),
    "coo vector": sp.coo_array(ROW),
    "csc_matrix": sp.csc_matrix([ROW, ROW])[0],
    "Series": pd.DataFrame([ROW, ROW]).iloc[0],
    "frame": pd.DataFrame([ROW, ROW]).iloc[[0]],
    "sparse frame": pd.DataFrame.sparse.from_spmatrix(sp.csr_matrix([ROW, ROW])).iloc[[0]],
    "table": Table(pd.DataFrame([ROW])),
}


@pytest.mark.exhaustive
def test_a_row_of_polars_is_one_distribution():
    import polars as pl

    for row in (pl.DataFrame([ROW.tolist()] * 2, orient="row")[0], pl.Series(ROW)):
        assert js_distance(row, [1.0, 2.0, 1.0]) == js_distance(ROW, [1.0, 2.0, 1.0])


@pytest.mark.parametrize("row", STORED_ROWS.values(), ids=STORED_ROWS)
def test_a_row_of_any_storage_is_one_distribution(row):
    q = np.array([1.0, 2.0, 1.0])
    expected, parts = js_distance(ROW, q), divergence_contributions(ROW, q)
    assert js_distance(row, q) == expected == js_distance(q, row)
    assert js_distance(row, row) == 0
    assert_array_equal(divergence_contributions(row, q), parts)
    for pair in ((row, q), (row, sp.csr_matrix(q)), (row, row)):
        contributions = DistributionDisplay.from_distributions(*pair).contributions
        plt.close("all")
        assert_array_equal(contributions, np.zeros(3) if pair[1] is row else parts)


@pytest.mark.parametrize("rows", [sp.csr_array([ROW, ROW]), pd.DataFrame([ROW, ROW])])
def test_several_rows_are_not_one_distribution(rows):
    with pytest.raises(ValueError, match=r"p must be a vector of at least one bin, but its shape is \("):
        js_distance(rows, ROW)
    with pytest.raises(ValueError, match="p is a collection"):
        divergence_contributions(rows, ROW)


def test_a_row_of_a_frame_is_compared_by_its_columns():
    p, q = TABLE.iloc[[0]], TABLE[["b", "a", "c"]].iloc[[1]]
    for one, other in ((p, q), (p.iloc[0], q), (p, q.iloc[0])):
        with pytest.raises(ValueError, match=r"\w+ 0 of p is 'a' and of q 'b'") as error:
            js_distance(one, other)
        assert js_distance(one, remedied(error, p=one, q=other)) == js_distance([6, 3, 1], [3, 6, 1])


# --- Fitted models ---------------------------------------------------------------------------------------------------

FITTED = {
    "predict": (DivergenceClustering(2), "predict"),
    "transform": (DivergenceClustering(2), "transform"),
    "score": (DivergenceClustering(2), "score"),
    "predict by centers": (DivergenceClustering(2, assign="center"), "predict"),
    "MiniBatch": (MiniBatchDivergenceClustering(2, random_state=0), "predict"),
    "MiniBatch.transform": (MiniBatchDivergenceClustering(2, random_state=0), "transform"),
    "neighbors": (DivergenceNeighborsTransformer(n_neighbors=2), "transform"),
    "embedding": (DivergenceEmbedding(), "transform"),
}


def dense(result):
    return result.toarray() if sp.issparse(result) else result


@pytest.mark.parametrize(("estimator", "method"), FITTED.values(), ids=FITTED)
def test_a_model_of_series_knows_their_names(estimator, method):
    rows = CONTAINERS["list of Series"](TABLE)
    fitted = estimator.fit(TABLE)
    expected = dense(getattr(fitted, method)(TABLE))
    for X in (rows, TABLE):
        fitted = estimator.fit(X)
        assert_array_equal(fitted.feature_names_in_, ["a", "b", "c"])
        for new in (rows, TABLE):
            assert_array_equal(dense(getattr(fitted, method)(new)), expected)
        with pytest.raises(
            ValueError, match=r"Label 0 of X is 'b' and of the fitted X 'a', .*, as they were fitted"
        ) as error:
            getattr(fitted, method)([row[["b", "a", "c"]] for row in rows])
        new = remedied(error, X=[row[["b", "a", "c"]] for row in rows], estimator=fitted)
        assert_array_equal(dense(getattr(fitted, method)(new)), expected)
        with pytest.raises(ValueError, match="feature names should match"):
            getattr(fitted, method)(TABLE[["b", "a", "c"]])
        X = Table(TABLE[["b", "a", "c"]])
        with pytest.raises(ValueError, match="Column 0 of X is 'b' and of the fitted X 'a'") as error:
            getattr(fitted, method)(X)
        assert remedied(error, X=X, estimator=fitted).column_names == ["a", "b", "c"]


def test_new_series_without_a_fitted_bin_or_with_another_are_refused():
    fitted = DivergenceClustering(2, assign="center", center="js").fit([*LETTERS[:1], LETTERS[3][["a", "b", "c"]]])
    for new in (
        pd.Series({"a": 3, "b": 1}),
        pd.Series({"a": 3, "b": 1, "d": 1}),
        pd.Series({"d": 1, "a": 3, "b": 1, "c": 0}),
    ):
        with pytest.raises(
            ValueError, match=r"reindex\(columns=estimator.feature_names_in_\)\.fillna\(0\) adds"
        ) as error:
            fitted.predict([new])
        code = re.search(r"order\. (.*) adds", str(error.value))[1]
        table = eval(code, {"pandas": pd, "X": [new], "estimator": fitted})
        assert_array_equal(fitted.predict(table), fitted.predict(pd.DataFrame([[3, 1, 0]], columns=list("abc"))))


def test_distances_to_a_fitted_row_that_are_missing_are_not_zero():
    D = divergence_frame(TABLE)
    fitted = DivergenceClustering(2, metric="precomputed").fit(D)
    rows = [row for _, row in D.iterrows()]
    assert_array_equal(fitted.predict(rows), fitted.labels_)
    with pytest.raises(ValueError, match=r"Label 3 of X is 'five' and of the fitted X 'four', .* in one order\.$"):
        fitted.predict([row.rename({"four": "five"}) for row in rows])


def test_batches_of_series_are_compared_and_centers_have_their_names():
    model = MiniBatchDivergenceClustering(2, random_state=0).partial_fit(CONTAINERS["list of Series"](TABLE))
    assert list(centers_frame(model).columns) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="Label 0 of X is 'b' and of the fitted X 'a'"):
        model.partial_fit([LETTERS[1]])
    with pytest.raises(
        ValueError, match=r"Label 0 of the X of other is 'b'|Column 0 of the X of other is 'b'|is 'b' and of that"
    ):
        model.merge(MiniBatchDivergenceClustering(2, random_state=0).fit(TABLE[["b", "a", "c"]]))


# --- What is given for rows ------------------------------------------------------------------------------------------

COUNTS = pd.DataFrame(np.random.default_rng(0).multinomial(200, [0.5, 0.3, 0.2], size=12), columns=list("abc"))
CITIES = COUNTS.set_axis([f"city {k}" for k in range(12)])
WEIGHTS = pd.Series(np.arange(1.0, 13))
GROUPS = pd.Series(list("xyzxyzxyzxyz"))


def of_weights(estimator, attribute):
    return lambda X, w: getattr(estimator.fit(X, sample_weight=w), attribute)


def of_distances(X, w):
    D = divergence_frame(X) if hasattr(X, "index") else skdiv.pairwise_divergences(X)
    return DivergenceClustering(2, metric="precomputed", linkage="average").fit(D, sample_weight=w).linkage_matrix_


def described(X, w):
    return describe_clusters(DivergenceClustering(2).fit(X), X, sample_weight=w)["inside"]


def of_series(X, groups):
    return HistogramTransformer(3).fit_transform(X["a"] if hasattr(X, "index") else X[:, 0], groups=groups)


def transformed(X, groups):
    return HistogramTransformer(3).fit(COUNTS.to_numpy(), groups=GROUPS).transform(X, groups=groups)


OF_WEIGHTS = {
    "barycenter": lambda X, w: skdiv.barycenter(X, sample_weight=w),
    "mutual_information": lambda X, w: skdiv.mutual_information(X, sample_weight=w),
    "DivergenceClustering": of_weights(DivergenceClustering(2, linkage="average"), "cluster_centers_"),
    "MiniBatch": of_weights(MiniBatchDivergenceClustering(2, random_state=0), "cluster_centers_"),
    "precomputed": of_distances,
    "describe_clusters": described,
    "HistogramTransformer": lambda X, groups: HistogramTransformer(3).fit_transform(X, groups=groups),
    "transform": transformed,
    "of a Series": of_series,
    "sum_blocks": lambda X, groups: np.asarray(sum_blocks(X, groups).X),
}


@pytest.mark.parametrize("function", OF_WEIGHTS.values(), ids=OF_WEIGHTS)
def test_what_is_given_for_rows_is_compared_by_the_index(function):
    weights = WEIGHTS // 4 if "groups" in function.__code__.co_varnames else WEIGHTS
    expected = function(COUNTS.to_numpy(), weights.to_numpy())
    named = weights.set_axis(CITIES.index)
    for X, other in (
        (COUNTS, weights.sample(frac=1, random_state=0)),
        (COUNTS.iloc[::-1], weights),
        (CITIES, named.iloc[::-1]),
    ):
        with pytest.raises(
            ValueError, match=r"Label 0 of the index of (sample_weight|groups) is .* and of X "
        ) as error:
            function(X, other)
        argument = re.search(r"index of (\w+)", str(error.value))[1]
        of_code = remedied(error, **{argument: other, "X": X})
        assert_array_equal(
            function(X, of_code), function(X.to_numpy(), weights.to_numpy()[:: -1 if X.index[0] == 11 else 1])
        )
    for X, same in (
        (COUNTS, weights),
        (CITIES, named),
        (CITIES, weights),
        (COUNTS, named),
        (COUNTS.to_numpy(), weights.iloc[::-1].iloc[::-1].set_axis(range(5, 17))),
        (COUNTS, weights.to_list()),
        (COUNTS.set_axis(range(12)), weights),
    ):
        assert_array_equal(function(X, same), expected)


def test_weights_of_other_rows_are_refused():
    with pytest.raises(
        ValueError, match=r"'other 0' and of X 'city 0', .* Pass sample_weight\.to_numpy\(\) if it is in the"
    ):
        skdiv.barycenter(CITIES, sample_weight=WEIGHTS.set_axis([f"other {k}" for k in range(12)]))
    some = COUNTS[COUNTS["a"] > COUNTS["a"].median()]
    with pytest.raises(ValueError, match=r"Label \d of the index of sample_weight"):
        skdiv.barycenter(some, sample_weight=pd.Series(np.ones(len(some))))


def test_rows_and_weights_that_are_split_together_go_together():
    X, X_test, weights, _, groups, _ = train_test_split(COUNTS, WEIGHTS, GROUPS, random_state=0)
    fitted = DivergenceClustering(2, linkage="average").fit(X, sample_weight=weights)
    assert_array_equal(fitted.predict(X), fitted.labels_)
    assert len(fitted.predict(X_test)) == len(X_test)
    assert_array_equal(sum_blocks(X, groups).groups, ["x", "y", "z"])
    assert_array_equal(
        fitted.fit(X.to_numpy(), sample_weight=weights).labels_, fitted.fit(X, sample_weight=weights).labels_
    )


@few_counts
def test_blocks_are_compared_by_the_names_of_rows_and_bins():
    X, blocks, groups = sum_blocks(COUNTS, GROUPS)
    of_rows = pd.Series(blocks, index=groups)
    framed = [pd.DataFrame(each, columns=list("abc")) for each in blocks]
    for function in (
        lambda X, blocks: skdiv.pairwise_homogeneity(X, blocks=blocks, n_resamples=19, random_state=0).pvalue,
        lambda X, blocks: skdiv.divergence_estimates(X, blocks=blocks, metric="js_divergence").estimate,
    ):
        expected = function(X.to_numpy(), blocks)
        assert_array_equal(function(X, of_rows), expected)
        assert_array_equal(function(X, framed), expected)
        with pytest.raises(
            ValueError, match=r"Label 0 of the index of blocks is 'z' and of X 'x'.*blocks\.loc\[X\.index\]"
        ):
            function(X, of_rows.iloc[::-1])
        with pytest.raises(ValueError, match=r"Column 0 of X is 'a' and of blocks\[0\] 'c'.*blocks\[0\]\[X\.columns\]"):
            function(X, [frame[["c", "b", "a"]] for frame in framed])


def test_a_graph_is_compared_by_the_names_of_its_rows():
    graph = pd.DataFrame(np.ones((12, 12)), index=CITIES.index, columns=CITIES.index)
    clustering = DivergenceClustering(2, linkage="average", connectivity=graph)
    clustering.fit(CITIES)
    clustering.set_params(connectivity=graph.iloc[::-1, ::-1])
    with pytest.raises(ValueError, match="Label 0 of the index of connectivity is 'city 11' and of X 'city 0'"):
        clustering.fit(CITIES)
    clustering.set_params(connectivity=graph.iloc[:, ::-1])
    with pytest.raises(ValueError, match=r"Column 0 of connectivity is 'city 11' .* Pass connectivity\.loc"):
        clustering.fit(CITIES)


# --- The fitted rows -------------------------------------------------------------------------------------------------

OF_FITTED_ROWS = {
    "describe_clusters": lambda m, X: describe_clusters(m, X)["inside"],
    "matrix": lambda m, X: DivergenceMatrixDisplay.from_estimator(m, X).matrix,
    "cluster map": lambda m, X: ClusterMapDisplay.from_estimator(m, X).matrix.matrix,
}
DAYS = COUNTS.set_axis(pd.date_range("2024-01-01", periods=12))
MODELS = {
    "days": (DivergenceClustering(2), DAYS),
    "two names": (DivergenceClustering(2), COUNTS.set_axis([list("aabbccddeeff"), [*range(12)]])),
    "rows": (DivergenceClustering(2), COUNTS),
    "named rows": (DivergenceClustering(2), CITIES),
    "distances": (DivergenceClustering(2, metric="precomputed"), divergence_frame(CITIES)),
    "batches": (MiniBatchDivergenceClustering(2, random_state=0), CITIES),
}


@pytest.mark.sampled
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("function", OF_FITTED_ROWS.values(), ids=OF_FITTED_ROWS)
@pytest.mark.parametrize(("model", "X"), MODELS.values(), ids=MODELS)
def test_the_fitted_rows_in_another_order_are_noticed(function, model, X):
    if isinstance(model, MiniBatchDivergenceClustering) and function is not OF_FITTED_ROWS["describe_clusters"]:
        model = DivergenceClustering(3, linkage="single")
    fitted = model.fit(X)
    expected = function(fitted, X)
    assert_array_equal(function(fitted, X.to_numpy()), expected)
    assert_array_equal(function(fitted, X.set_axis([f"new {k}" for k in range(12)]).to_numpy()), expected)
    with pytest.raises(ValueError, match=r"Row 0 of X is .*1[12].* and of the fitted X .*0.*, but labels_ belong"):
        function(fitted, X.iloc[::-1])
    plt.close("all")


def test_the_rows_of_the_last_batch_are_those_of_the_labels():
    model = MiniBatchDivergenceClustering(2, random_state=0).partial_fit(CITIES).partial_fit(COUNTS[::-1])
    describe_clusters(model, COUNTS[::-1])
    with pytest.raises(ValueError, match="Row 0 of X is 0 and of the fitted X 11"):
        describe_clusters(model, COUNTS)
    model.merge(MiniBatchDivergenceClustering(2, random_state=0).fit(COUNTS))
    model.labels_ = model.predict(COUNTS)
    describe_clusters(model, COUNTS)


def test_clusters_in_a_picture_are_those_of_its_rows():
    D, clusters = divergence_frame(CITIES), pd.Series(np.arange(12) % 3, index=CITIES.index)
    assert_array_equal(DivergenceMatrixDisplay(D, clusters=clusters).clusters, np.arange(12) % 3)
    with pytest.raises(ValueError, match="Label 0 of the index of clusters is 'city 11'"):
        DivergenceMatrixDisplay(D, clusters=clusters[::-1])
    with pytest.raises(ValueError, match=r"Column 0 of the matrix is 'city 11' and row 0 is 'city 0'"):
        DivergenceMatrixDisplay(D.iloc[:, ::-1])


# --- Matrices of distances -------------------------------------------------------------------------------------------


def test_columns_of_distances_are_in_the_order_of_the_rows():
    D = divergence_frame(CITIES)
    clustering = DivergenceClustering(2, metric="precomputed")
    expected = clustering.fit(D.to_numpy()).labels_
    for named in (D, D.set_axis(range(12), axis=0), D.set_axis([str(k) for k in range(12)], axis=1)):
        assert_array_equal(clustering.fit(named).labels_, expected)
    fitted = clustering.fit(D)
    mixed = D.iloc[[3, 1, 2, 0, *range(4, 12)]]
    for function, X in ((clustering.fit, D.iloc[:, ::-1]), (clustering.fit_predict, mixed), (fitted.score, mixed)):
        with pytest.raises(ValueError, match=r"Column 0 of X is .* and row 0 is .*") as error:
            function(X)
        assert_array_equal(remedied(error, X=X), divergence_frame(CITIES.loc[X.index]))
    assert_array_equal(fitted.predict(mixed), expected[[3, 1, 2, 0, *range(4, 12)]])


# --- Models ----------------------------------------------------------------------------------------------------------

POINTS = pd.DataFrame(np.random.default_rng(1).normal([0, 5], [1, 3], size=(60, 2)), columns=["height", "width"])


def gaussian(points):
    return [points.mean(), points.mean()], [points.cov(), points.cov()]


@pytest.mark.parametrize("diagonal", [False, True])
def test_gaussians_are_compared_by_the_names_of_their_features(diagonal):
    spread = (lambda frame: frame.var()) if diagonal else (lambda frame: frame.cov())
    A, B = POINTS, POINTS[["width", "height"]]
    means, covariances = [A.mean(), A.mean()], [spread(A), spread(A)]
    expected = gaussian_divergences(means, covariances)
    assert_array_equal(expected, gaussian_divergences(np.array(means), np.array(covariances)))
    assert expected[0, 1] == 0
    with pytest.raises(
        ValueError, match=r"Label 0 of means\[1\] is 'width' and of means\[0\] 'height', but the features"
    ):
        gaussian_divergences([A.mean(), B.mean()], [spread(A), spread(B)])
    with pytest.raises(
        ValueError, match=r"Label 0 of covariances\[1\] is 'width' and of covariances\[0\] 'height'"
    ) as error:
        gaussian_divergences(means, [spread(A), spread(B)])
    if not diagonal:
        assert_array_equal(remedied(error, covariances=[spread(A), spread(B)]), spread(A))
    with pytest.raises(
        ValueError, match=r"\w+ 0 of means is 'height' and of covariances 'width', .* for instance \["
    ) as error:
        gaussian_divergences(means, [spread(B), spread(B)])
    assert_array_equal(gaussian_divergences(means, remedied(error, means=means, covariances=[spread(B)] * 2)), expected)
    frame = pd.DataFrame(means, index=["one", "two"])
    assert_array_equal(gaussian_divergences(frame, covariances), expected)
    with pytest.raises(ValueError, match="of means is 'width' and of covariances 'height'"):
        gaussian_divergences(frame[["width", "height"]], covariances)


def test_a_covariance_has_its_rows_in_the_order_of_its_columns():
    with pytest.raises(
        ValueError, match=r"Column 0 of covariances\[0\] is 'height' and row 0 is 'width', .*covariances\[0\]\.loc"
    ):
        gaussian_divergences([POINTS.mean()], [POINTS.cov().iloc[::-1]])
    variances = pd.Series([1.0, 2.0], index=["two", "one"])
    with pytest.raises(ValueError, match="Label 0 of the index of covariances is 'two' and of means 'one'"):
        gaussian_divergences(pd.DataFrame([[1.0], [2.0]], index=["one", "two"]), variances)


def test_chains_are_compared_by_the_names_of_their_states():
    one = pd.DataFrame([[0.9, 0.1], [0.5, 0.5]], index=["sun", "rain"], columns=["sun", "rain"])
    other = one.iloc[::-1, ::-1]
    assert markov_divergences([one, one])[0, 1] == 0
    with pytest.raises(
        ValueError, match=r"Label 0 of transition_matrices\[1\] is 'rain' .* but the states of both"
    ) as error:
        markov_divergences([one, other])
    second = remedied(error, transition_matrices=[one, other])
    assert_array_equal(markov_divergences([one, second]), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"Column 0 of transition_matrices\[1\] is 'sun' and row 0 is 'rain'"):
        markov_divergences([one, one.iloc[::-1]])
    weights = pd.DataFrame([[0.2, 0.8]] * 2, columns=["rain", "sun"])
    with pytest.raises(
        ValueError, match="of transition_matrices is 'sun' and of stationary 'rain', but the states"
    ) as error:
        markov_divergences([one, one], stationary=weights)
    ordered = remedied(error, transition_matrices=[one, one], stationary=weights)
    assert_array_equal(ordered, weights[["sun", "rain"]])
    assert markov_divergences([one, one], stationary=ordered)[0, 1] == 0


def test_samples_and_mixtures_are_compared_by_the_names_of_their_features():
    A, B = POINTS, POINTS[["width", "height"]]
    with pytest.raises(
        ValueError, match=r"samples\[0\] is 'height' and of samples\[1\] 'width', but the features"
    ) as error:
        sample_divergences([A, B])
    second = remedied(error, samples=[A, B])
    assert sample_divergences([A, second], "js_divergence")[0, 1] == sample_divergences([A, A], "js_divergence")[0, 1]
    with pytest.raises(ValueError, match=r"mixtures\[0\] is 'height' and of mixtures\[1\] 'width', but the features"):
        mixture_divergences([GaussianMixture(random_state=0).fit(points) for points in (A, B)])


# --- Positions of bins -----------------------------------------------------------------------------------------------

AGES = pd.DataFrame({"city": list("xxyyzz"), "age": [20, 21, 60, 61, 20, 60]})
CROSSTAB = pd.crosstab(AGES["city"], AGES["age"])


def test_names_that_are_numbers_are_positions():
    expected = [
        [
            wasserstein_distance(*(AGES["age"][AGES["city"] == city] for city in pair))
            for pair in (f"x{c}", f"y{c}", f"z{c}")
        ]
        for c in "xyz"
    ]
    assert expected[0][1] == 40
    for X in (CROSSTAB, CROSSTAB[[60, 20, 61, 21]], CROSSTAB.astype(pd.SparseDtype(float, 0))[[60, 20, 61, 21]]):
        D = wasserstein_divergences(X)
        assert_allclose(D, expected, rtol=1e-12)
        assert_allclose(wasserstein_divergences(X, X[:2]), D[:, :2], rtol=1e-12)
        assert_allclose(wasserstein_divergences(X.to_numpy(), X[:2]), D[:, :2], rtol=1e-12)
    series = [row for _, row in CROSSTAB[[60, 20, 61, 21]].iterrows()]
    assert_allclose(wasserstein_divergences(series), expected, rtol=1e-12)
    halves = CROSSTAB.set_axis(CROSSTAB.columns / 2, axis=1)
    assert_allclose(wasserstein_divergences(halves), np.array(expected) / 2, rtol=1e-12)
    assert_array_equal(
        wasserstein_divergences(pd.DataFrame(CROSSTAB.to_numpy())), wasserstein_divergences(CROSSTAB.to_numpy())
    )


def test_positions_that_are_given_come_before_names():
    assert wasserstein_divergences(CROSSTAB, positions=[0, 1, 2, 3])[0, 1] == 2
    positions = pd.Series([0.0, 1, 2, 9], index=CROSSTAB.columns)
    assert wasserstein_divergences(CROSSTAB, positions=positions)[0, 1] == 5
    with pytest.raises(ValueError, match=r"Column 0 of X is 20 and of positions 61, .*positions\[X\.columns\]"):
        wasserstein_divergences(CROSSTAB, positions=positions[::-1])


@pytest.mark.parametrize(
    ("X", "remedy"),
    [
        (pd.DataFrame([[1, 0, 1], [0, 1, 0]], columns=["low", "mid", "high"]), range(3)),
        (pd.DataFrame([[1, 0, 1], [0, 1, 0]], columns=["20", "21", "60.5"]), [20, 21, 60.5]),
        (Table(pd.DataFrame({"20": [1, 0], "30": [0, 1]})), [20, 30]),
        (pd.DataFrame([[1, 0], [0, 1]], columns=pd.interval_range(0, 2)), [0.5, 1.5]),
        (pd.DataFrame([[1, 0], [0, 1]], columns=[True, False]), range(2)),
        (pd.DataFrame([[1, 0], [0, 1]], columns=[0.0, np.nan]), range(2)),
        (pd.DataFrame([[1, 0], [0, 1]], columns=pd.date_range("2024", periods=2)), range(2)),
        ([pd.Series({"low": 1, "high": 2}), pd.Series({"low": 1, "high": 0})], range(2)),
    ],
)
def test_names_that_are_no_numbers_need_positions(X, remedy):
    with pytest.raises(
        ValueError, match=r"\w+ \d of X is .*, which does not say where the bin lies\. Pass positions"
    ) as error:
        wasserstein_divergences(X)
    code = re.search(r"positions=(.*?)(?: if they are one unit apart)?\.$", str(error.value))[1]
    given = eval(code, {"X": X})
    assert list(given) == list(remedy)
    assert wasserstein_divergences(X, positions=given).shape == (2, 2)


def test_two_bins_at_one_position_are_refused():
    rows = [pd.Series([1, 2, 3, 4], index=[20, 30, 20.0, 10])] * 2
    with pytest.raises(
        ValueError, match="Labels 0 and 2 of X are both at 20, but bins must lie at different positions"
    ):
        wasserstein_divergences(rows)
    assert wasserstein_divergences(rows, positions=range(4))[0, 1] == 0
