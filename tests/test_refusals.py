"""Bad input is refused by an error that names the argument, the row, the value and the remedy."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context

from skdiv import (
    DivergenceClustering,
    condensed_divergences,
    divergence_estimates,
    divergences,
    paired_divergences,
    pairwise_divergences,
    pairwise_homogeneity,
)
from skdiv.models import wasserstein_divergences
from skdiv.preprocessing import sum_blocks

GOOD = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.0, 0.5]])


def with_entry(value, column=1):
    X = GOOD.copy()
    X[2, column] = value
    return X


BAD_ROWS = [
    (with_entry(np.nan), r"contains NaN: X\[2, 1\] = nan\. .*drop or impute"),
    (with_entry(np.inf), r"contains inf or -inf: X\[2, 1\] = inf\. Weights must be finite"),
    (with_entry(-np.inf, 0), r"contains inf or -inf: X\[2, 0\] = -inf"),
    (with_entry(-0.5), r"Negative values in data passed to X: X\[2, 1\] = -0\.5\. .*undo a centring"),
    (GOOD * [[1], [1], [0], [1]], r"X\[2\] sums to 0: an all-zero row is not a distribution.*pseudocount > 0"),
    (GOOD * [[0], [1], [0], [1]], r"X\[0\] sums to 0 \(and 1 more rows\)"),
]
FUNCTIONS = {
    "pairwise": pairwise_divergences,
    "condensed": condensed_divergences,
    "paired": lambda X: paired_divergences(X, GOOD),
    "fit": lambda X: DivergenceClustering().fit(X),
    "predict": lambda X: DivergenceClustering().fit(GOOD).predict(X),
    "transform": lambda X: DivergenceClustering(assign="center").fit(GOOD).transform(X),
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array, sp.csc_matrix], ids=["dense", "csr", "csc"])
@pytest.mark.parametrize(("X", "message"), BAD_ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_rows_that_are_no_distributions(function, convert, X, message):
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[function](convert(X))


def test_the_argument_is_named():
    for function in (pairwise_divergences, paired_divergences):
        with pytest.raises(ValueError, match=r"Y\[2, 1\] = -1"):
            function(GOOD, with_entry(-1))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (GOOD.astype(complex), r"dtype is complex128: X\[0, 0\] = .*1\+0j.*asarray\([XY], dtype=float\)"),
        (sp.csr_array(GOOD.astype(complex)), "dtype is complex128"),
        (np.array([[1, 2], [None, 3]], dtype=object), r"dtype is object: X\[1, 0\] = None"),
        (GOOD.astype(object), r"dtype is object: X\[0, 0\] = 1\.0.*asarray\([XY], dtype=float\)"),
        ([["a", "b"], ["c", "d"]], r"dtype is <U1: X\[0, 0\] = .*'a'"),
    ],
    ids=["complex", "sparse complex", "None", "objects", "strings"],
)
def test_what_is_not_real_is_a_type_error(X, message):
    for function in (pairwise_divergences, condensed_divergences):
        with pytest.raises(TypeError, match=message):
            function(X)


def test_a_mask_is_not_ignored():
    masked = np.ma.masked_equal(GOOD, 2.0)
    for function in (pairwise_divergences, DivergenceClustering().fit):
        with pytest.raises(TypeError, match=r"X is a masked array, .* X\.filled\(0\)"):
            function(masked)
    with pytest.raises(TypeError, match="p is a masked array"):
        divergences()["kl"](masked[0], [1, 1, 1])


def test_a_metric_in_the_place_of_Y():
    with pytest.raises(TypeError, match="Y = 'kl' is not a collection .* metric='kl'"):
        pairwise_divergences(GOOD, "kl")
    with pytest.raises(ValueError, match=r"Unknown metric of type ndarray\."):
        condensed_divergences(GOOD, GOOD)


@pytest.mark.parametrize("n_jobs", ["2", 1.5])
def test_a_number_of_workers_that_is_none(n_jobs):
    with pytest.raises(TypeError, match="n_jobs = .* must be an integer or None"):
        pairwise_divergences(GOOD, n_jobs=n_jobs)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"X has 3 bins \(columns\) and Y has 2"):
        pairwise_divergences(GOOD, [[1, 2]])
    with pytest.raises(ValueError, match="X has 4 rows and Y has 2: paired"):
        paired_divergences(GOOD, GOOD[:2])
    with pytest.raises(ValueError, match=r"X is one-dimensional, .* divergences\(\)\['kl'\]\(p, q\).* one row, \[X\]"):
        pairwise_divergences([1.0, 2.0])
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        pairwise_divergences(np.empty((0, 3)))
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        pairwise_divergences(np.empty((3, 0)))


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(
    ("rows", "dtype", "message"),
    [
        ([[1, 1], [3, 5e-324]], np.float64, r"X\[1, 1\] = 5e-324 .* become 0 in float64"),
        ([[1e300, 1e-300]], np.float64, r"X\[0, 1\] = 1e-300 .* become 0 in float64"),
        ([[1e30, 1e-20]], np.float32, r"X\[0, 1\] = .*e-2.* become 0 in float32 .* pass float64"),
    ],
)
def test_an_entry_that_would_vanish_when_normalised(kind, rows, dtype, message):
    """A bin dropped silently makes a finite divergence infinite."""
    with pytest.raises(ValueError, match=message):
        pairwise_divergences(kind(np.array(rows, dtype=dtype)), metric="kl")


def test_frames_whose_columns_are_in_another_order():
    X = pd.DataFrame({"a": [1.0], "b": [2.0]})
    with pytest.raises(ValueError, match=r"Column 0 of X is 'a' and of Y 'b', .*Y\[X.columns\]"):
        pairwise_divergences(X, X[["b", "a"]])
    with pytest.raises(ValueError, match=r"Column 1 of X is 'b' and of Y 'c', .*, as after X, Y = X\.align\(Y, axis=1"):
        pairwise_divergences(X, X.rename(columns={"b": "c"}))
    edges = pd.DataFrame([[1.0, 2.0]], columns=pd.interval_range(0, 2))
    with pytest.raises(ValueError, match="Column 0 of X is Interval"):
        paired_divergences(edges, edges[edges.columns[::-1]])
    assert pairwise_divergences(X, pd.DataFrame([[1.0, 2.0]]))[0, 0] == 0
    assert pairwise_divergences(X, X[["b", "a"]][X.columns])[0, 0] == 0


def test_a_pseudocount_that_overflows():
    with pytest.raises(ValueError, match=r"pseudocount = 1e\+308 added to the entries of X is not finite"):
        pairwise_divergences([[1.7e308, 1], [1, 1]], pseudocount=1e308)
    with pytest.raises(ValueError, match="added to the entries of Y is not finite"):
        pairwise_divergences([[1, 1]], [[1.7e308, 1]], pseudocount=1e308)


@pytest.mark.parametrize("assign", ["member", "center"])
def test_predict_refuses_a_row_infinitely_far_from_every_cluster(assign):
    clustering = DivergenceClustering(2, metric="kl", assign=assign).fit(GOOD[[0, 2]])
    new = [[1, 1, 1], [1, 0, 1]]
    if assign == "member":
        assert np.isinf(clustering.transform(new)[1]).all()
        for megabytes in (1024, 0):  # All rows are one batch, or each is one.
            with (
                config_context(working_memory=megabytes),
                pytest.raises(ValueError, match=r"X\[1\] is infinitely far from every cluster.*pseudocount"),
            ):
                clustering.predict(new)
    else:
        assert clustering.predict(new).shape == (2,)


@pytest.mark.parametrize("pseudocount", [-1, np.nan, np.inf])
def test_a_pseudocount_that_is_none(pseudocount):
    with pytest.raises(ValueError, match="pseudocount"):
        pairwise_divergences(GOOD, pseudocount=pseudocount)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "function",
    [
        lambda X: sum_blocks(X, [0, 1, 1]),
        lambda X: pairwise_homogeneity(X),
        lambda X: divergence_estimates(X),
        lambda X: divergence_estimates(X, [[3, 4], [5, 6]]),
        lambda X: wasserstein_divergences(X),
        lambda X: wasserstein_divergences(X, [[3, 4], [5, 6]]),
    ],
)
def test_a_function_in_which_no_pseudocount_fills_an_empty_row_does_not_suggest_one(function, make):
    with pytest.raises(ValueError, match=r"X\[1\] sums to 0: an all-zero row is not a distribution\. Drop it\.$"):
        function(make([[30, 20], [0, 0], [4, 5]]))


def test_a_pseudocount_makes_an_empty_row_uniform():
    empty = np.zeros((1, 3))
    for X in (empty, sp.csr_array(empty)):
        assert pairwise_divergences(X, [[1, 1, 1]], pseudocount=1)[0, 0] == 0


@pytest.mark.parametrize("metric", ["kl", "chi2", "jeffreys"])
def test_clustering_refuses_infinite_divergences_and_names_the_remedy(metric):
    with pytest.raises(
        ValueError, match=rf"'{metric}' is infinite between X\[0\] and X\[1\].*pseudocount.*'js_distance'"
    ):
        DivergenceClustering(metric=metric).fit(GOOD[[0, 1, 3]])
    assert np.isinf(pairwise_divergences(GOOD, metric=metric)[0, 1])
    DivergenceClustering(metric=metric, pseudocount=0.5).fit(GOOD)


@pytest.mark.parametrize("metric", ["kl", "jeffreys", "js_divergence", "bhattacharyya", "total_variation", "chi2"])
def test_ward_on_a_divergence_that_is_not_hilbertian(metric):
    with pytest.raises(
        ValueError, match=rf"'ward'.*metric '{metric}' is not known to be a Euclidean.*'js_distance', 'hellinger'"
    ):
        DivergenceClustering(metric=metric, linkage="ward", pseudocount=1).fit(GOOD)


def precomputed(change):
    D = pairwise_divergences(GOOD)
    change(D)
    return D


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda D: D.__setitem__((2, 3), 0.7), r"not symmetric: X\[2, 3\] = 0\.7, X\[3, 2\] = .*Symmetrise"),
        (lambda D: D.__setitem__((3, 3), 0.1), r"X\[3, 3\] = 0\.1, but the distance of a distribution to itself is 0"),
        (lambda D: D.__setitem__((0, 3), np.nan), r"NaN or inf passed to X: precomputed X\[0, 3\] = nan"),
        (lambda D: D.__setitem__((0, 3), np.inf), r"NaN or inf passed to X: precomputed X\[0, 3\] = inf"),
        (lambda D: D.__setitem__((2, 1), -0.2), r"Negative values in data passed to X: precomputed X\[2, 1\] = -0\.2"),
    ],
)
def test_a_precomputed_matrix_that_is_none_of_distances(change, message):
    """scikit-learn clusters its upper triangle without a word."""
    with pytest.raises(ValueError, match=message):
        DivergenceClustering(metric="precomputed").fit(precomputed(change))


def test_a_precomputed_matrix_must_be_square_and_dense():
    with pytest.raises(ValueError, match=r"must be square.* got \(4, 3\)"):
        DivergenceClustering(metric="precomputed").fit(GOOD)
    with pytest.raises(TypeError, match="dense data is required"):
        DivergenceClustering(metric="precomputed").fit(sp.csr_array(pairwise_divergences(GOOD)))


@pytest.mark.parametrize(("name", "value"), [("assign", "center"), ("center", "js"), ("base", 2), ("pseudocount", 1.0)])
def test_precomputed_distances_have_no_distributions(name, value):
    with pytest.raises(ValueError, match=f"^{name} = .* needs the distributions"):
        DivergenceClustering(metric="precomputed", **{name: value}).fit(pairwise_divergences(GOOD))


@pytest.mark.parametrize("parameters", [{"distance_threshold": 0.3}, {"n_clusters": None}])
def test_exactly_one_way_to_cut_the_tree(parameters):
    with pytest.raises(ValueError, match="Exactly one of n_clusters and distance_threshold"):
        DivergenceClustering(**parameters).fit(GOOD)


@pytest.mark.parametrize(
    "parameters",
    [{"n_clusters": 0}, {"linkage": "median"}, {"symmetrize": "no"}, {"assign": "nearest"}, {"base": 1.0},
     {"pseudocount": -1}, {"n_jobs": "two"}, {"memory": 3}, {"distance_threshold": -1}],
)  # fmt: skip
def test_parameters_out_of_range(parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of DivergenceClustering must be"):
        DivergenceClustering(**parameters).fit(GOOD)


def test_more_clusters_than_rows():
    with pytest.raises(ValueError, match="n_clusters = 5 is more than the 4 rows of X"):
        DivergenceClustering(5).fit(GOOD)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5])
@pytest.mark.parametrize("method", ["fit", "predict", "transform"])
def test_an_entry_that_is_no_distance_is_named(value, method):
    D = pairwise_divergences(GOOD)
    clustering = DivergenceClustering(metric="precomputed").fit(D)
    D[1, 2] = value
    with pytest.raises(
        ValueError, match=rf"passed to X: precomputed X\[1, 2\] = {value}\. Distances are finite and not"
    ):
        getattr(clustering, method)(D)


def test_a_function_as_a_metric_is_told_how_to_become_one():
    def cosine(p, q):
        return 1 - p @ q

    for function in (pairwise_divergences, lambda X, metric: DivergenceClustering(metric=metric).fit(X)):
        with pytest.raises(
            ValueError, match=r"metric = <function .*cosine.*Divergence\(name=\.\.\., term=\.\.\., symm"
        ) as error:
            function(GOOD, metric=cosine)
        assert "_divergence" not in str(error.value)
        with pytest.raises(ValueError, match="Unknown metric 3. Use one of"):
            function(GOOD, metric=3)


@pytest.mark.parametrize(
    ("out", "remedy"),
    [
        (np.ma.zeros((4, 4)), r"masked array.*out\.data"),
        (np.zeros((4, 4)).view(np.matrix), r"matrix.*numpy\.asarray\(out\)"),
    ],
)
def test_an_out_that_is_no_plain_array(out, remedy):
    with pytest.raises(TypeError, match=f"out .*{remedy}"):
        pairwise_divergences(GOOD, out=out)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_a_pseudocount_that_would_vanish(kind):
    with pytest.raises(ValueError, match=r"X\[0, 1\] = 0\.0 with pseudocount = 5e-324 .* Pass a larger pseudocount"):
        pairwise_divergences(kind([[3.0, 0.0], [1.0, 1.0]]), pseudocount=5e-324)


def test_a_pseudocount_saves_an_entry_that_would_vanish_alone():
    X = np.array([[1e10, 1e-320], [1.0, 1.0]])
    dense, sparse = (pairwise_divergences(kind(X), metric="kl", pseudocount=0.5) for kind in (np.asarray, sp.csr_array))
    np.testing.assert_allclose(sparse, dense, rtol=1e-12)


def test_new_rows_in_place_of_their_distances_are_refused():
    clustering = DivergenceClustering(metric="precomputed").fit(pairwise_divergences(GOOD))
    n = len(GOOD)
    for method in (clustering.predict, clustering.transform):
        with pytest.raises(ValueError, match=f"pass the distances of each new row to the {n} "):
            method(np.ones((2, n + 1)))
