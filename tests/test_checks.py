"""What is no collection of distributions is refused by the names that the user gave: of arguments, rows and columns."""

import gc
import re
import warnings
import weakref

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from test_refusals import FUNCTIONS, GOOD

from skdiv import (
    DivergenceClustering,
    barycenter,
    divergence_estimates,
    divergences,
    paired_divergences,
    pairwise_divergences,
    pairwise_homogeneity,
)
from skdiv.preprocessing import sum_blocks

CITIES = pd.DataFrame(GOOD, columns=["sun", "rain", "snow"], index=["oslo", "bergen", "tromso", "bodo"])


# --- What is no array of numbers ---

EVERYWHERE = {
    **FUNCTIONS,
    "Y": lambda X: pairwise_divergences(GOOD, X),
    "paired Y": lambda X: paired_divergences(GOOD, X),
    "barycenter": barycenter,
    "homogeneity": pairwise_homogeneity,
}
PRECOMPUTED = DivergenceClustering(metric="precomputed").fit(np.zeros((3, 3)))
everywhere = pytest.mark.parametrize("function", EVERYWHERE.values(), ids=EVERYWHERE)
NAMED = {
    **EVERYWHERE,
    "predict": DivergenceClustering().fit(CITIES).predict,
    "transform": DivergenceClustering(assign="center").fit(CITIES).transform,
}
FUNCTIONS_ALONE = [call for name, call in EVERYWHERE.items() if name not in ("fit", "predict", "transform")]
precomputed_too = pytest.mark.parametrize(
    "function", [*EVERYWHERE.values(), PRECOMPUTED.predict], ids=[*EVERYWHERE, "precomputed"]
)


@precomputed_too
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([["1", "2"], ["3", "4"]]), r"dtype is <U1: \w\[0, 0\] = np.str_\('1'\)\. .*asarray\(\w, dtype=fl"),
        (np.array([[b"1", b"2"], [b"3", b"4"]]), r"dtype is \|S1: [XY]\[0, 0\] = .*b'1'"),
        ([["1", "2"], ["3", "4"]], r"dtype is <U1: [XY]\[0, 0\] ="),
        ([[1, 2], [3, None]], r"dtype is object: [XY]\[1, 1\] = None"),
        (np.array([[1, 2], ["3", 4]], dtype=object), r"dtype is object: [XY]\[1, 0\] = '3'"),
        (np.array([[1, 2]], dtype="datetime64[D]"), r"dtype is datetime64\[D\]: [XY]\[0, 0\] = .*1970-01-02"),
        (np.array([[1, 2]], dtype="timedelta64[D]"), r"dtype is timedelta64\[D\]: [XY]\[0, 0\] ="),
    ],
    ids=["text", "bytes", "list of text", "list with None", "objects", "dates", "spans of time"],
)  # fmt: skip
def test_text_dates_and_objects_are_no_weights(function, X, message):
    with pytest.raises(TypeError, match=message):
        function(X)


@precomputed_too
@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (pd.array(["1", "2", "3", "4"], dtype="string"), "string"),
        (pd.Categorical([1, 2, 3, 4]), "category"),
        (pd.date_range("2026-01-01", periods=4), r"datetime64\[\ws\]"),
        (pd.date_range("2026-01-01", periods=4, tz="UTC"), r"datetime64\[\ws, UTC\]"),
        (pd.to_timedelta([1, 2, 3, 4]), r"timedelta64\[ns\]"),
        ([1, "2", 3, 4], "object"),
    ],
)
def test_a_column_of_a_frame_that_is_not_of_numbers_is_named(function, column, dtype):
    message = rf"Column 'kind' of [XY] has dtype {dtype}.*\.set_index\('kind'\).*\.astype\(\{{'kind': float\}}\)"
    if dtype == "object" and function not in FUNCTIONS_ALONE:
        message = r"dtype is object: X\[1, 3\] \('bergen', 'kind'\) = '2'\. .*X\.set_index\('kind'\)"
    with pytest.raises(TypeError, match=message):
        function(CITIES.assign(kind=column))


@pytest.mark.exhaustive
@pytest.mark.parametrize("function", [pairwise_divergences, DivergenceClustering().fit])
def test_a_column_of_a_polars_frame_that_is_not_of_numbers_is_named(function):
    import polars as pl

    frame = pl.DataFrame({"sun": [1.0, 2.0], "kind": ["1", "2"], "wet": [True, True]})
    with pytest.raises(TypeError, match=r"Column 'kind' of X has dtype String.*X\.drop\('kind'\).*X\.cast\(\{'kind': "):
        function(frame)
    with pytest.raises(TypeError, match="Column 'day' of X has dtype Date"):
        function(frame.select("sun").with_columns(day=pl.date(2026, 1, 1)))
    for missing in ([1, None], [None, None]):
        with pytest.raises(ValueError, match=r"NaN: X\[\d, 1\] \(column 'kind'\) = nan.*X\.fill_null\(0\)"):
            function(frame.with_columns(kind=pl.Series(missing)))
    function(frame.select("sun", "wet"))


@pytest.mark.parametrize("function", [pairwise_divergences, DivergenceClustering().fit])
def test_columns_that_may_be_missing_are_numbers_until_one_is(function):
    frame = pd.DataFrame(
        {"a": pd.array([1, 2], dtype="Int64"), "b": [True, True], "c": pd.array([0.5, 1.5], "Float64")}
    )
    function(frame)
    with pytest.raises(ValueError, match=r"contains NaN: X\[1, 0\] \(column 'a'\) = nan.*X\.fillna\(0\)"):
        function(frame.assign(a=pd.array([1, None], dtype="Int64")))


@pytest.mark.parametrize("convert", [np.asarray, pd.DataFrame], ids=["array", "frame"])
def test_the_estimator_takes_objects_that_are_real_numbers(convert):
    """scikit-learn's checks ask it of every estimator; the functions do not take them."""
    objects, expected = convert(GOOD.astype(object)), DivergenceClustering().fit(GOOD)
    np.testing.assert_array_equal(DivergenceClustering().fit(objects).distances_, expected.distances_)
    np.testing.assert_array_equal(expected.predict(objects), expected.labels_)
    with pytest.raises(TypeError, match="object"):
        pairwise_divergences(objects)


def test_the_mask_of_weights_and_of_rows_in_a_list_is_not_ignored():
    weights = np.ma.masked_equal([1.0, 2.0, 1.0, 1.0], 2.0)
    for function in (barycenter, DivergenceClustering().fit):
        with pytest.raises(TypeError, match=r"sample_weight is a masked array, .* sample_weight\.filled\(0\)"):
            function(GOOD, sample_weight=weights)
        with pytest.raises(TypeError, match=r"X is a list with a masked array"):
            function(list(np.ma.masked_equal(GOOD, 2.0)))


EXTENDED = np.finfo(np.longdouble).max > np.finfo(np.float64).max  # not so where long double is double


@everywhere
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array, sp.coo_array, pd.DataFrame])
@pytest.mark.parametrize("value", ["1e400", "1e-4000"] if EXTENDED else [])
def test_a_long_double_beyond_double_precision_is_named(function, kind, value):
    X = GOOD.astype(np.longdouble)
    X[2, 1] = np.longdouble(value)
    with pytest.raises(ValueError, match=rf"[XY]\[2, 1\] = {re.escape(str(X[2, 1]))} is beyond the range of float64"):
        function(kind(X))


@pytest.mark.parametrize("value", ["1e400", "1e-4000"] if EXTENDED else [])
def test_a_weight_or_a_bin_beyond_double_precision_is_named(value):
    weights = np.array([1, 1, np.longdouble(value), 1])
    with pytest.raises(ValueError, match=rf"sample_weight\[2\] = {re.escape(str(weights[2]))}"):
        barycenter(GOOD, sample_weight=weights)
    with pytest.raises(ValueError, match=rf"p\[2\] = {re.escape(str(weights[2]))}"):
        divergences()["kl"](weights, np.ones(4))


# --- Sparse matrices whose indices are broken would end the process ---


def broken(kind, name, position, value):
    """A sparse container with one index that is not in its shape."""
    X = kind(GOOD + 1)
    arrays = dict(zip(("row", "col"), X.coords, strict=True)) if X.format == "coo" else vars(X)
    arrays[name].setflags(write=True)
    arrays[name][position] = value
    return X


def broken_lists(columns):
    X = sp.lil_array(GOOD)
    X.rows[2] = columns
    return X


def short_lists():
    X = sp.lil_array(GOOD)
    X.rows, X.data = X.rows[:1], X.data[:1]
    return X


FAR = 10**8
BROKEN = {
    "lil of one row": (short_lists, r"\w has 4 rows, but lists of columns for 1 and of values for 1"),
    "csr": (lambda: broken(sp.csr_array, "indices", 7, FAR), r"\w\[2\] has an entry in column 100000000, but \w has 3"),
    "one beyond": (lambda: broken(sp.csr_array, "indices", 7, 3), r"\w\[2\] has an entry in column 3, but \w has 3"),
    "negative": (lambda: broken(sp.csr_matrix, "indices", 7, -5), r"\w\[2\] has an entry in column -5, but"),
    "csc": (lambda: broken(sp.csc_array, "indices", 5, FAR), r"\w\[:, 1\] has an entry in row 100000000, but \w has 4"),
    "coo column": (
        lambda: broken(sp.coo_array, "col", 7, FAR),
        r"\w\[2\] has an entry in column 100000000, but \w has 3",
    ),
    "coo row": (lambda: broken(sp.coo_matrix, "row", 7, -1), r"\w\[:, 1\] has an entry in row -1, but \w has 4 rows"),
    "bsr": (lambda: broken(sp.bsr_array, "indices", 0, FAR), "has an entry in column 100000000, but"),
    "lil short": (lambda: broken_lists([0, 1]), r"\w\[2\] has entries in 2 columns, but 3 values"),
    "lil": (lambda: broken_lists([0, FAR, 2]), r"\w\[2\] has an entry in column 100000000, but"),
    "falling": (
        lambda: broken(sp.csr_array, "indptr", 2, 2),
        r"indptr of \w .* but indptr\[1\] = 3 and indptr\[2\] = 2",
    ),
    "too far": (lambda: broken(sp.csr_array, "indptr", 4, FAR), r"indptr of \w .* but .* ends at 100000000\."),
    "too near": (lambda: broken(sp.csc_array, "indptr", 3, 11), r"indptr of \w .* but .* ends at 11\."),
    "not from 0": (lambda: broken(sp.csr_array, "indptr", 0, -3), r"indptr of \w .* but .* starts at -3"),
}


@everywhere
@pytest.mark.parametrize(("make", "message"), BROKEN.values(), ids=BROKEN)
def test_a_sparse_matrix_with_broken_indices_is_refused(function, make, message):
    X = make()
    with pytest.raises(ValueError, match=message):
        function(X)


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "bsr"])
def test_a_graph_with_broken_indices_is_refused(name):
    graph = BROKEN[name][0]()
    for connectivity in (graph, lambda _: graph):
        with pytest.raises(ValueError, match=r"connectivity.* Its indices are broken"):
            DivergenceClustering(connectivity=connectivity).fit(GOOD[:3])


# --- Repeated entries of sparse matrices ---

TIMES = np.array([[300, 2, 3], [0, 300, 1], [1, 1, 300], [129, 0, 1]])  # of which a byte holds no sum


def repeated(kind, dtype):
    """TIMES as a sparse matrix of ones, each stored as often as it counts; BSR and CSC may repeat entries too."""
    i, j = (np.repeat(places.ravel(), TIMES.ravel()) for places in np.indices(TIMES.shape))
    ones = np.ones(len(i), dtype)
    if kind is sp.coo_array:
        return kind((ones, (i, j)), shape=TIMES.shape)
    if kind is sp.csc_array:
        order = np.argsort(j, kind="stable")
        return kind((ones, i[order], np.append(0, np.cumsum(TIMES.sum(axis=0)))), shape=TIMES.shape)
    data = ones if kind is sp.csr_array else ones[:, np.newaxis, np.newaxis]
    return kind((data, j, np.append(0, np.cumsum(TIMES.sum(axis=1)))), shape=TIMES.shape)


COUNTED = {
    "barycenter": barycenter,
    "Y": lambda X: pairwise_divergences(GOOD, X),
    "pairwise": pairwise_divergences,
    "homogeneity": lambda X: pairwise_homogeneity(X, random_state=0),
    "paired": lambda X: paired_divergences(X, GOOD),
    "fit": lambda X: DivergenceClustering().fit(X).linkage_matrix_,
    "predict": lambda X: DivergenceClustering(assign="center").fit(CITIES.to_numpy()).transform(X),
    "kept": lambda X: DivergenceClustering(assign="center").fit(X).transform(GOOD),
    "estimates": lambda X: divergence_estimates(X).estimate,
    "blocks": lambda X: pairwise_divergences(sum_blocks(X, groups=[0, 0, 1, 1]).X),
}


@pytest.mark.filterwarnings("ignore:For 6 of 6 pairs the counts are too few")
@pytest.mark.parametrize("dtype", ["u1", "i1", "bool", "i8", "f4", "f8"])
@pytest.mark.parametrize("kind", [sp.coo_array, sp.csr_array, sp.csc_array, sp.bsr_array])
def test_repeated_entries_of_any_format_and_dtype_are_added(kind, dtype):
    X = repeated(kind, dtype)
    counts = TIMES.astype(np.float32 if dtype == "f4" else np.float64)
    for name, call in COUNTED.items():
        np.testing.assert_allclose(call(X), call(counts), rtol=1e-6, atol=1e-9, err_msg=name)


def test_an_edge_that_is_stored_many_times_is_an_edge():
    two = np.array([0, 0, 1, 1, 2, 2, 3, 3]), np.array([1, 3, 0, 2, 1, 3, 0, 2])
    i, j = (np.tile(places, 256) for places in two)
    graph = sp.coo_array((np.ones(len(i), np.uint8), (i, j)), shape=(4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = DivergenceClustering(linkage="single", connectivity=graph).fit(GOOD)
    once = sp.coo_array((np.ones(8), two), shape=(4, 4))
    expected = DivergenceClustering(linkage="single", connectivity=once).fit(GOOD)
    np.testing.assert_array_equal(fitted.linkage_matrix_, expected.linkage_matrix_)


# --- Columns, rows and arguments by their names ---


@pytest.mark.parametrize("columns", [[2, 1, 0], [0, 2, 1], [1, 2, 3]])
def test_integers_that_are_not_in_order_are_names_of_columns(columns):
    X = pd.DataFrame([[1.0, 2.0, 3.0], [3.0, 1.0, 1.0]])
    Y = X.set_axis(columns, axis=1)
    for pair in ((X, Y), (Y, X)):
        for function in (pairwise_divergences, paired_divergences):
            with pytest.raises(ValueError, match=r"Column \d of X is \d and of Y \d, but the bins"):
                function(*pair)
        fitted = DivergenceClustering().fit(pair[0])
        for method in (fitted.predict, fitted.transform):
            with pytest.raises(ValueError, match=r"Column \d of X is \d and of the fitted X \d, but the bins"):
                method(pair[1])


@pytest.mark.parametrize(
    "names", [["a", 1, None], [2019, 2020, 2021], list(pd.interval_range(0, 3)), [np.nan, pd.NA, "a"]]
)
def test_columns_are_matched_by_place_where_one_side_has_no_names(names):
    X, Y = pd.DataFrame(GOOD, columns=pd.Index(names, dtype=object)), pd.DataFrame(GOOD)
    for other in (X.copy(), Y, GOOD, sp.csr_array(GOOD)):
        assert (np.diagonal(pairwise_divergences(X, other)) == 0).all()
        assert (np.diagonal(pairwise_divergences(other, X)) == 0).all()
    with pytest.raises(ValueError, match=r"Column 0 of X .*Y\[X\.columns\]"):
        pairwise_divergences(X, X.iloc[:, ::-1])
    if not any(isinstance(name, str) for name in names):  # else scikit-learn asks for names of one type
        fitted = DivergenceClustering().fit(X)
        for other in (X.copy(), Y, GOOD):
            np.testing.assert_array_equal(fitted.predict(other), fitted.labels_)
        with pytest.raises(ValueError, match=r"Column 0 of X .* of the fitted X"):
            fitted.predict(X.iloc[:, ::-1])


def test_integers_that_were_given_are_names_of_columns_in_any_order():
    """Hours 0 to 2 are not hours 3 to 5; pandas numbers columns that were given no names by another kind of index."""
    X = pd.DataFrame(GOOD, columns=[0, 1, 2])
    Y = X.set_axis([3, 4, 5], axis=1)
    with pytest.raises(ValueError, match=r"Column 0 of X is 0 and of Y 3, but the bins"):
        pairwise_divergences(X, Y)
    with pytest.raises(ValueError, match=r"Column 0 of X is 3 and of the fitted X 0, but the bins"):
        DivergenceClustering().fit(X).predict(Y)
    assert (np.diagonal(pairwise_divergences(pd.DataFrame(GOOD), Y)) == 0).all()


@pytest.mark.exhaustive
def test_a_lazy_frame_has_no_numbers_yet():
    import polars as pl

    with pytest.raises(TypeError, match=r"X is a lazy frame, which holds no numbers yet; pass X\.collect\(\)"):
        pairwise_divergences(pl.LazyFrame(GOOD, schema=["a", "b", "c"]))


def test_a_masked_graph_or_one_of_text_is_refused():
    graph = np.ma.masked_array(np.ones((4, 4)), mask=np.eye(4))
    for connectivity in (graph, lambda _: graph):
        with pytest.raises(TypeError, match="connectivity is a masked array, whose mask would be ignored"):
            DivergenceClustering(connectivity=connectivity).fit(GOOD)
    with pytest.raises(TypeError, match="of connectivity has dtype"):
        DivergenceClustering(connectivity=pd.DataFrame(np.ones((4, 4)).astype(str))).fit(GOOD)


def test_new_rows_beyond_the_precision_of_the_fit_are_refused():
    """A bin that vanishes in single precision would be dropped, and its row put into some cluster."""
    fitted = DivergenceClustering(metric="kl", assign="center").fit(np.array([[1, 1, 0], [1, 2, 0], [5, 1, 0]], "f4"))
    for entry, container in ((1e-60, np.asarray), (1e-60, sp.csr_array), (1e300, np.asarray)):
        new = container(np.array([[1, 1, 1], [1, 1, entry]]))
        for method in (fitted.predict, fitted.transform):
            with pytest.raises(ValueError, match=r"X\[1, 2\] = 1e.* is beyond the range of float32, in which"):
                method(new)


@pytest.mark.exhaustive
def test_polars_frames_whose_columns_are_in_another_order():
    import polars as pl

    X = pl.DataFrame(GOOD, schema=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"Column 0 of X is 'a' and of Y 'c', .*Y\[X\.columns\]"):
        pairwise_divergences(X, X["c", "b", "a"])
    with pytest.raises(ValueError, match="Column 0 of X is 'a' and of Y 'c'"):
        pairwise_divergences(CITIES.set_axis(["a", "b", "c"], axis=1), X["c", "b", "a"])


ROWS = [
    (np.nan, r"NaN: [XY]\[2, 1\] \('tromso', 'rain'\) = nan\. .*\.fillna\(0\)"),
    (np.inf, r"inf: [XY]\[2, 1\] \('tromso', 'rain'\) = inf"),
    (-1.0, r"Negative values .*: [XY]\[2, 1\] \('tromso', 'rain'\) = -1"),
]


@pytest.mark.parametrize("function", NAMED.values(), ids=NAMED)
def test_rows_and_columns_of_a_frame_are_named(function):
    for value, message in ROWS:
        frame = CITIES.copy()
        frame.loc["tromso", "rain"] = value
        with pytest.raises(ValueError, match=message):
            function(frame)
    with pytest.raises(ValueError, match=r"[XY]\[2\] \('tromso'\) sums to 0"):
        function(CITIES.mul([1, 1, 0, 1], axis=0))


def test_a_row_of_a_frame_without_an_index_has_no_name():
    with pytest.raises(ValueError, match=r"NaN: X\[0, 1\] \(column 'b'\) = nan"):
        pairwise_divergences(pd.DataFrame({"a": [1.0], "b": [np.nan]}))
    with pytest.raises(ValueError, match=r"NaN: X\[0, 1\] = nan"):
        pairwise_divergences(pd.DataFrame([[1.0, np.nan]]))
    with pytest.raises(ValueError, match=r"NaN: X\[1, 0\] \(row 7\) = nan"):
        pairwise_divergences(pd.DataFrame([[1.0, 1.0], [np.nan, 1.0]], index=[1, 7]))
    with pytest.raises(ValueError, match=r"NaN: X\[1, 0\] \(row \('a', 1\)\) = nan"):
        pairwise_divergences(
            pd.DataFrame([[1.0, 1.0], [np.nan, 1.0]], index=pd.MultiIndex.from_product([["a"], [0, 1]]))
        )
    with pytest.raises(ValueError, match=r"X\[1\] \(7\) sums to 0:"):
        pairwise_divergences(pd.DataFrame([[1.0, 1.0], [0.0, 0.0]], index=[1, 7]))


def test_counts_that_are_not_whole_are_named():
    frame = CITIES + 1
    frame.loc["bergen", "snow"] = 0.5
    for function in (pairwise_homogeneity, DivergenceClustering("significant").fit):
        with pytest.raises(ValueError, match=r"X\[1, 2\] \('bergen', 'snow'\) = 0\.5 is not a whole number"):
            function(frame)


def test_pairs_that_are_infinitely_far_apart_are_named():
    with pytest.raises(ValueError, match=r"infinite between X\[0\] \('oslo'\) and X\[1\] \('bergen'\), whose"):
        DivergenceClustering(metric="kl").fit(CITIES.iloc[[0, 1, 3]])
    with pytest.raises(ValueError, match=r"infinite between X\[0\] \('oslo'\) and X\[1\] \('bergen'\), whose"):
        DivergenceClustering(metric="kl", linkage="single", connectivity=np.ones((3, 3))).fit(CITIES.iloc[[0, 1, 3]])
    fitted = DivergenceClustering(metric="kl").fit(CITIES.iloc[[0, 2]])
    DivergenceClustering(metric="kl", pseudocount=0.5).fit(CITIES)
    with pytest.raises(ValueError, match=r"X\[1\] \('berlin'\) is infinitely far"):
        fitted.predict(pd.DataFrame([[1, 1, 1], [1, 0, 1]], columns=CITIES.columns, index=["rome", "berlin"]))


def test_a_name_that_became_a_column_is_told_from_a_bin():
    for frame in (CITIES.reset_index(), CITIES.reset_index().astype({"index": object})):
        with pytest.raises(TypeError, match=r"'index'.* X\.set_index\('index'\)"):
            DivergenceClustering().fit(frame)


def test_an_entry_of_a_frame_of_distances_is_named():
    D = pd.DataFrame(pairwise_divergences(GOOD), index=CITIES.index, columns=CITIES.index)
    fitted = DivergenceClustering(metric="precomputed").fit(D)
    D.loc["bergen", "tromso"] = np.nan
    for method in (clone(fitted).fit, fitted.predict, fitted.transform):
        with pytest.raises(ValueError, match=r"precomputed X\[1, 2\] \('bergen', 'tromso'\) = nan"):
            method(D)


def test_names_are_no_part_of_what_is_cached_and_the_frame_is_not_kept(tmp_path):
    for index in (CITIES.index, CITIES.index[::-1]):
        frame = CITIES.set_axis(index)
        clustering = DivergenceClustering(memory=str(tmp_path)).fit(frame)
    assert len(list(tmp_path.rglob("output.pkl"))) == 1
    gone = weakref.ref(frame)
    del frame
    gc.collect()
    assert gone() is None
    np.testing.assert_array_equal(clustering.predict(CITIES), clustering.labels_)
