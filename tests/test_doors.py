"""What comes in at the door: arrays of other libraries, what is no table, what may be a mistake; each by every path."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.lib.recfunctions import structured_to_unstructured
from scipy.spatial.distance import squareform
from sklearn import config_context
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer

from skdiv import (
    DivergenceClustering,
    MiniBatchDivergenceClustering,
    barycenter,
    condensed_divergences,
    divergence_estimates,
    divergences,
    divergences_chunked,
    divergences_within,
    mutual_information,
    nearest_divergences,
    paired_divergences,
    pairwise_divergences,
    pairwise_homogeneity,
)
from skdiv.embedding import DivergenceEmbedding
from skdiv.explanations import divergence_contributions
from skdiv.models import gaussian_divergences, mixture_divergences, sample_divergences, transition_matrices
from skdiv.models import wasserstein_divergences as wasserstein
from skdiv.neighbors import DivergenceNeighborsTransformer
from skdiv.plotting import DivergenceMatrixDisplay
from skdiv.preprocessing import HistogramTransformer, sum_blocks

GOOD = np.array([[2.0, 3, 4], [3, 1, 1], [1, 1, 1], [2, 3, 5], [1, 7, 2]])
D = pairwise_divergences(GOOD)
js = divergences()["js_distance"]
fitted = DivergenceClustering(2).fit(GOOD)
graph = DivergenceNeighborsTransformer(n_neighbors=1)


def mini():
    return MiniBatchDivergenceClustering(2, random_state=0)


def estimates(X):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="For .* pairs the counts are too few")
        return divergence_estimates(X).estimate


# Every function and method that takes a table of distributions, as its X.
TABLES = {
    "pairwise": pairwise_divergences,
    "Y": lambda X: pairwise_divergences(GOOD, X),
    "condensed": condensed_divergences,
    "paired": lambda X: paired_divergences(X, X),
    "nearest": lambda X: nearest_divergences(X, n_neighbors=1)[0],
    "within": lambda X: divergences_within(X, radius=0.5),
    "chunked": lambda X: np.vstack(list(divergences_chunked(X))),
    "barycenter": barycenter,
    "homogeneity": lambda X: pairwise_homogeneity(X).statistic,
    "estimates": lambda X: estimates(X),
    "information": mutual_information,
    "wasserstein": wasserstein,
    "contributions": lambda X: divergence_contributions(X, X),
    "blocks": lambda X: sum_blocks(X, np.arange(len(GOOD)))[0],
    "fit": lambda X: DivergenceClustering(2).fit(X).transform(X),
    "predict": lambda X: fitted.predict(X),
    "transform": lambda X: fitted.transform(X),
    "score": lambda X: fitted.score(X),
    "mini-batch": lambda X: mini().fit(X).transform(X),
    "partial_fit": lambda X: mini().partial_fit(X).transform(X),
    "embedding": lambda X: DivergenceEmbedding().fit(X).transform(X),
    "graph": graph.fit_transform,
}
# Those that take a list, a vector or a matrix of another kind, or give one that is always double precision.
OTHERS = {
    "precomputed": lambda X: DivergenceClustering(2, metric="precomputed").fit(squares(X)).transform(squares(X)),
    "sample_weight": lambda X: barycenter(GOOD, sample_weight=X[:, 0]),
    "call": lambda X: js(X[0], X[1]),
    "contributions of vectors": lambda X: divergence_contributions(X[0], X[1]),
    "list of rows": lambda X: pairwise_divergences([X[0], X[1]]),
    "gaussians": lambda X: gaussian_divergences(X, GOOD),
    "samples": lambda X: sample_divergences([X[0], X[1]], n_neighbors=1),
    "histograms": lambda X: HistogramTransformer(2).fit_transform([X[0], X[1]]),
    "positions": lambda X: wasserstein(GOOD, positions=X[0]),
    "connectivity": lambda X: DivergenceClustering(2, linkage="single", connectivity=squares(X)).fit(GOOD).labels_,
    "display": lambda X: DivergenceMatrixDisplay.from_matrix(squares(X)).matrix,
}
tables = pytest.mark.parametrize("path", TABLES.values(), ids=TABLES)
all_paths = pytest.mark.parametrize("path", [*TABLES.values(), *OTHERS.values()], ids=[*TABLES, *OTHERS])


class Tensor:
    """Stands in for a tensor of PyTorch: its dtype is none of NumPy's, and it refuses to become what it cannot."""

    def __init__(self, values, dtype=None, *, requires_grad=False, layout="torch.strided", device="cpu"):
        self.values, self.requires_grad, self.layout, self.device = values, requires_grad, layout, device
        self.dtype = f"torch.{values.dtype if dtype is None else dtype}"
        self.state = {"requires_grad": requires_grad, "layout": layout, "device": device, "dtype": dtype}

    def __len__(self):
        return len(self.values)

    def __getitem__(self, key):
        return type(self)(self.values[key], **self.state)

    def __dlpack__(self, **_):
        raise BufferError("raw text")

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad or self.layout != "torch.strided" or self.device != "cpu" or self.state["dtype"]:
            raise RuntimeError("raw text")
        return np.asarray(self.values, dtype=dtype)

    def detach(self):
        return Tensor(self.values, **self.state | {"requires_grad": False})

    def to_dense(self):
        return Tensor(self.values, **self.state | {"layout": "torch.strided"})

    def cpu(self):
        return Tensor(self.values, **self.state | {"device": "cpu"})

    def float(self):
        return Tensor(self.values.astype(np.float32), **self.state | {"dtype": None})


class Standard:
    """Stands in for an array that keeps to the array API standard, and is read by DLPack alone."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, f"standard.{values.dtype}"

    def __array_namespace__(self):
        raise AssertionError("not asked for")

    def __getitem__(self, key):
        return Standard(self.values[key])

    def __dlpack__(self, **settings):
        return self.values.__dlpack__(**settings)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def squares(X):
    """A distance matrix of the container of X, made of its numbers."""
    of_numbers = np.ceil(100 * D).astype(getattr(X, "values", X).dtype)
    return type(X)(of_numbers, **getattr(X, "state", {})) if hasattr(X, "values") else of_numbers


def assert_same(one, other):
    assert getattr(one, "dtype", None) == getattr(other, "dtype", None)
    np.testing.assert_array_equal(*(each.toarray() if sp.issparse(each) else each for each in (one, other)))


# --- Arrays of other libraries ---


@all_paths
def test_an_array_of_another_library_gives_what_its_numbers_give_in_numpy(path):
    for dtype in ("f4", "f2", "i8"):
        values = GOOD.astype(dtype)
        expected = path(values)
        assert_same(path(Tensor(values)), expected)
        assert_same(path(Standard(values)), expected)


@pytest.mark.parametrize(
    "dispatch",
    [False, pytest.param(True, marks=pytest.mark.exhaustive)],  # scikit-learn 1.6 needs a package for it
)
@pytest.mark.parametrize("kind", [Tensor, Standard, np.asarray, np.ndarray.tolist, pd.DataFrame, sp.csr_array])
def test_results_do_not_depend_on_scikit_learns_dispatch_of_arrays(kind, dispatch, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with config_context(array_api_dispatch=dispatch):
        assert_same(pairwise_divergences(kind(GOOD)), D)
        assert_same(DivergenceClustering(2).fit(kind(GOOD)).predict(kind(GOOD)), fitted.labels_)


UNREADABLE = {
    ".detach()": {"requires_grad": True},
    ".to_dense()": {"layout": "torch.sparse_coo"},
    ".cpu()": {"device": "cuda:0"},
    ".float()": {"dtype": "bfloat16"},
    ".detach().cpu().float()": {"requires_grad": True, "device": "cuda:0", "dtype": "float8_e4m3fn"},
}


@all_paths
def test_a_tensor_that_numpy_cannot_read_is_refused_with_a_remedy_that_works(path):
    for remedy, state in UNREADABLE.items():
        X = Tensor(GOOD, **state)
        with pytest.raises(TypeError, match=r"of the type .*Tensor \(torch\..*\), which NumPy cannot read") as error:
            path(X)
        assert f"{remedy}." in str(error.value)
        path(eval(f"X{remedy}"))


def test_what_holds_no_numbers_in_the_memory_of_the_cpu_is_refused():
    class OfCupy:
        @property
        def __cuda_array_interface__(self):
            return {"shape": (2, 2)}

    class WithGet(OfCupy):
        def get(self):
            return GOOD

    for X, remedy in (
        (OfCupy(), r"cupy\.asnumpy\(cupy\.asarray\(X\)\)"),
        (WithGet(), r"Pass X\.get\(\)\."),
        (Tensor(GOOD, device="meta"), "on the device 'meta' and has a shape, but no numbers"),
    ):
        with pytest.raises(TypeError, match=remedy):
            pairwise_divergences(X)


def test_a_list_of_rows_is_double_precision_whatever_they_are():
    """As scikit-learn has it for lists."""
    rows = GOOD.astype("f4")
    for X in (list(rows), [Tensor(row) for row in rows], tuple(map(Standard, rows))):
        assert_same(pairwise_divergences(X), pairwise_divergences(rows.astype("f8")))


# --- Frames of pandas with sparse columns ---


@pytest.mark.parametrize("path", [TABLES[name] for name in ("pairwise", "Y", "barycenter", "fit", "mini-batch")])
@pytest.mark.parametrize("fill", [0, 1, np.nan])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_a_sparse_frame_gives_what_it_holds_whatever_it_leaves_out(path, fill, dtype):
    frame = pd.DataFrame(GOOD.astype(dtype), columns=list("abc"))
    expected = path(sp.csr_array(frame.to_numpy()))
    assert_same(path(frame.astype(pd.SparseDtype(dtype, fill))), expected)


def test_frames_that_are_sparse_in_part_or_of_integers_and_booleans():
    frame = pd.DataFrame(GOOD, columns=list("abc"))
    in_part = frame.astype({"a": pd.SparseDtype(float, 1)})
    whole, truth = frame.astype(int).astype(pd.SparseDtype(int, 2)), (frame > 0).astype(pd.SparseDtype(bool, True))
    for given, meant in ((in_part, frame), (whole, frame), (truth, frame > 0)):
        np.testing.assert_array_equal(pairwise_divergences(given), pairwise_divergences(meant))
    with pytest.raises(TypeError, match=r"Sparse data was passed for X, .* of a frame X\.sparse\.to_dense"):
        DivergenceClustering(metric="precomputed").fit(pd.DataFrame(D).astype(pd.SparseDtype(float, 0)))


def test_what_is_missing_in_a_sparse_frame_is_named():
    frame = pd.DataFrame(GOOD.copy(), columns=list("abc"))
    frame.loc[1, "b"] = np.nan
    with pytest.raises(ValueError, match=r"X contains NaN: X\[1, 1\] \(column 'b'\)"):
        pairwise_divergences(frame.astype(pd.SparseDtype(float, np.nan)))


# --- What is no table ---


class AnnData:
    X, obs, var = GOOD, pd.DataFrame(), pd.DataFrame()


FIELDS = np.array([(1.0, 2.0), (3.0, 4.0)], dtype=[("a", float), ("b", float)])
TOKENS, TEXTS = [["a", "b"], ["c"]], ["some words", "more words here"]
RAGGED = [[1, 2, 2, 4, 1, 7], [1, 2, 3, 3, 5, 6, 7]]
NO_TABLES = {
    "None": (None, r"is None, and not a table", None),
    "text": ("abc", r"is a text, .*CountVectorizer\(\)\.fit_transform\(\[X\]\)", None),
    "texts": (TEXTS, r"is made of texts, .*CountVectorizer\(\)\.fit_transform\(X\)", CountVectorizer().fit_transform),
    "tokens": (TOKENS, r"holds? texts.*CountVectorizer\(analyzer=list\)", CountVectorizer(analyzer=list).fit_transform),
    "even tokens": ([["a", "b"], ["c", "d"]], r"CountVectorizer\(analyzer=list\)", None),
    "ragged": (RAGGED, r"X\[0\] has 6 entries and X\[1\] 7", HistogramTransformer().fit_transform),
    "samples": (RAGGED, r"skdiv\.models\.sample_divergences\(X\)", None),
    "ragged objects": (np.array([[1, 2], [1, 2, 3]], dtype=object), r"X\[0\] has 2 entries and X\[1\] 3", None),
    "a row that is none": ([[1, 2], None], r"X\[1\] = None is no row of numbers", None),
    "dicts": ([{"a": 1, "b": 2}, {"b": 1}], r"DictVectorizer\(\)\.fit_transform\(X\)", DictVectorizer().fit_transform),
    "dict": ({"a": 1, "b": 2}, r"DictVectorizer\(\)\.fit_transform\(\[X\]\)", None),
    "dict of rows": ({"x": [1, 2], "y": [3, 4]}, r"pass list\(X\.values\(\)\)", lambda X: list(X.values())),
    "bunch": ({"data": GOOD, "target": 0}, r"is X\['data'\]", lambda X: X["data"]),
    "annotated": (AnnData(), r"The table of annotated data is X\.X", lambda X: X.X),
    "set": ({1, 2}, "A set has no order", None),
    "objects": ([object(), object()], "made of objects of the type object", None),
    "object": (object(), "of the type object, and not a table", None),
    "sparse rows": ([sp.csr_array(GOOD[[0]])] * 2, r"scipy\.sparse\.vstack\(X\)", sp.vstack),
    "fields": (FIELDS, r"with the fields 'a', 'b'.*structured_to_unstructured\(X\)", structured_to_unstructured),
    "matrix": (GOOD.view(np.matrix), r"numpy\.asarray\(X\)", np.asarray),
    "value": (3.5, r"= 3\.5 is a single value", None),
    "cube": (np.ones((2, 3, 4)), r"3 dimensions.* numpy\.reshape\(X, \(2, -1\)\)", lambda X: np.reshape(X, (2, -1))),
    "empty": ([], "is empty", None),
    "no rows": (np.empty((0, 3)), "has no rows", None),
    "no columns": (np.empty((3, 0)), "has no bins", None),
    "empty frame": (pd.DataFrame(), "has no rows", None),
    "huge": ([[10**400, 1], [1, 2]], r"\[0, 0\]", None),
    "vector": ([1, 2, 3], r"one-dimensional.*divergences\(\)\['kl'\]\(p, q\).* one row, \[X\]", lambda X: [X]),
    "Series": (pd.Series([1, 2]), r"one-dimensional.* one row, \[X\]", lambda X: [X]),
    "sparse": (sp.coo_array([1, 2, 3]), r"one-dimensional.* one row, X\.reshape", lambda X: X.reshape(1, -1)),
    "a bin": (np.ones((4, 1)), r"has one bin, .* pass its transpose.*HistogramTransformer", np.transpose),
}
TAKEN = {("Y", "None"), *(("contributions", case) for case in ("vector", "Series", "sparse"))}
# Where vectors have a meaning, the number of bins is known, or a name may be meant, a message has its own words.
OWN_WORDS = {
    "contributions": {"texts", "ragged objects", "dicts", "objects", "sparse rows", "fields", "empty"},
    "paired": {"text"}, "Y": {"text"}, "predict": {"a bin"}, "transform": {"a bin"}, "score": {"a bin"},
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_what_is_no_table_is_refused_with_a_remedy(name):
    for case, (X, message, _) in NO_TABLES.items():
        if (name, case) in TAKEN:
            continue
        with pytest.raises((TypeError, ValueError)) as error:
            TABLES[name](X)
        told = str(error.value)
        called = re.sub("X", "[XYpq]", message) if name in ("paired", "contributions", "Y") else message
        assert case in OWN_WORDS.get(name, ()) or re.search(called, told), (case, told)
        assert "inhomogeneous" not in told, case
        assert "reshape(-1, 1)" not in told, case


@pytest.mark.parametrize("case", [name for name, (_, _, remedy) in NO_TABLES.items() if remedy])
def test_the_remedy_for_what_is_no_table_works(case):
    X, _, remedy = NO_TABLES[case]
    assert np.isfinite(pairwise_divergences(remedy(X))).all()


def test_a_list_of_samples_of_different_sizes_is_compared_without_bins():
    assert sample_divergences(RAGGED).shape == (2, 2)


def test_generators_are_refused_not_read():
    for X in ((row for row in GOOD), map(list, GOOD)):
        with pytest.raises(TypeError, match=r"can be read only once; pass list\(X\)"):
            pairwise_divergences(X)
        assert_same(pairwise_divergences(list(X)), D)


def test_two_vectors_of_one_bin_are_no_distributions():
    with pytest.raises(ValueError, match="p has one bin, over which all distributions are the same"):
        js([3], [5])


@pytest.mark.parametrize("items", [None, 3.5, np.array(3.0), object()])
@pytest.mark.parametrize(
    ("function", "name"),
    [(sample_divergences, "samples"), (mixture_divergences, "mixtures"), (transition_matrices, "sequences")],
)
def test_what_is_no_list_of_models_is_refused(function, name, items):
    with pytest.raises(TypeError, match=rf"{name} is of the type .*, and must be a list"):
        function(items)


@pytest.mark.parametrize("items", [{"a": 1}, "abc", [[1, 2], [3]], object(), None])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda items: js(items, [1, 2]), "p"),
        (lambda items: gaussian_divergences(items, [[1, 1]]), "means"),
        (lambda items: wasserstein(GOOD, positions=[items, 2, 3] if items is None else items), "positions"),
        (lambda items: DivergenceMatrixDisplay.from_matrix(items), "The matrix"),
    ],
)
def test_where_no_table_is_wanted_the_message_speaks_of_numbers(function, name, items):
    with pytest.raises(TypeError, match=rf"{name} (is .*not an array of numbers|must hold real numbers)") as error:
        function(items)
    assert "fit_transform" not in str(error.value)


# --- Precomputed distances ---


@pytest.mark.parametrize("method", ["fit", "predict", "transform", "score"])
def test_a_condensed_vector_in_the_place_of_the_matrix(method):
    clustering = DivergenceClustering(2, metric="precomputed").fit(D)
    condensed = condensed_divergences(GOOD)
    with pytest.raises(
        ValueError, match=r"pass scipy\.spatial\.distance\.squareform\(X\) if it is the condensed matrix of 5 rows"
    ):
        getattr(clustering, method)(condensed)
    with pytest.raises(
        ValueError, match=r"is a vector of length 4, .* pass \[X\] if it holds the distances of one row"
    ):
        getattr(clustering, method)(condensed[:4])
    getattr(clustering, method)(squareform(condensed))


@pytest.mark.parametrize("noise", [1e-6, 1e-4])
def test_a_diagonal_of_rounding_errors_is_told_from_a_similarity(noise):
    noisy = D + noise * np.eye(5)
    with pytest.raises(ValueError, match=r"rounding error of a distance, .* numpy\.fill_diagonal\(X, 0\)"):
        DivergenceClustering(metric="precomputed").fit(noisy)
    np.fill_diagonal(noisy, 0)
    DivergenceClustering(metric="precomputed").fit(noisy)
    with pytest.raises(ValueError, match="Is X a similarity"):
        DivergenceClustering(metric="precomputed").fit(1 - D)


# --- Names of metrics ---


@pytest.mark.parametrize(
    ("name", "meant"),
    [("js", "'js_divergence' or 'js_distance'"), ("KL", "'kl'"), ("tv", "'total_variation'"),
     ("hellingr", "'hellinger'"), ("total variation", "'total_variation'"), ("kl_divergence", "'kl'")],
)  # fmt: skip
def test_a_name_that_is_nearly_one_is_answered_by_a_question(name, meant):
    with pytest.raises(KeyError, match=f"Did you mean {meant}"):
        divergences()[name]
    for call in (pairwise_divergences, lambda X, metric: DivergenceClustering(metric=metric).fit(X)):
        with pytest.raises(ValueError, match="Did you mean '.*'\\? Use one of"):
            call(GOOD, metric=name)


def test_a_name_like_none_gets_no_question():
    with pytest.raises(KeyError, match=r"No divergence has the name 'euclidean'\. Names:"):
        divergences()["euclidean"]
    assert divergences().get("js") is None
    assert "js" not in divergences()


def test_precomputed_is_among_the_metrics_where_it_is_taken():
    with pytest.raises(ValueError, match=r"Did you mean 'precomputed'\? .*'kl', 'precomputed', 'renyi'"):
        DivergenceClustering(metric="precomputd").fit(D)
    with pytest.raises(ValueError, match="Unknown metric 'precomputd'") as error:
        pairwise_divergences(GOOD, metric="precomputd")
    assert "'precomputed'" not in str(error.value)
    with pytest.raises(ValueError, match=r"must be one of .*Did you mean 'js_divergence' or 'js_distance'"):
        sample_divergences(RAGGED, "js")


# --- What may be a mistake ---

OF_ROWS = ["pairwise", "condensed", "nearest", "within", "chunked", "fit", "mini-batch", "embedding"]
of_rows = pytest.mark.parametrize("path", [TABLES[name] for name in OF_ROWS] + [graph.fit], ids=[*OF_ROWS, "graph"])


@of_rows
@pytest.mark.parametrize("kind", [np.asarray, np.float32, np.ndarray.tolist, pd.DataFrame])
def test_a_matrix_of_distances_in_the_place_of_rows_is_noticed(path, kind):
    with pytest.warns(UserWarning, match=r"X is square and symmetric, .* metric='precomputed'"):
        path(kind(D))


def test_equal_rows_and_rounding_do_not_hide_a_matrix_of_distances():
    repeated = pairwise_divergences(np.vstack([GOOD, GOOD[:2]])) + 1e-9 * np.eye(7)
    with pytest.warns(UserWarning, match="is square and symmetric"):
        pairwise_divergences(repeated)


@pytest.mark.parametrize(("value", "message"), [(np.inf, "inf"), (np.nan, "NaN"), (-1, "Negative")])
def test_a_hollow_matrix_with_an_entry_that_is_no_weight_is_refused_without_a_warning(value, message):
    hollow = D.copy()
    hollow[2, 3] = hollow[3, 2] = value
    with pytest.raises(ValueError, match=message):
        pairwise_divergences(hollow)


def test_the_warning_about_distances_can_be_silenced_as_it_says():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X is square and symmetric")
        pairwise_divergences(D)


TRANSITIONS = np.array([[9, 2, 1, 0], [2, 8, 3, 1], [1, 3, 7, 2], [0, 1, 2, 6]])
RING = np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1)
ORDINARY = {
    "transitions": TRANSITIONS,
    "adjacency": RING,
    "asymmetric": np.triu(D, 1) + 2 * np.tril(D, -1),
    "two rows": [[0, 1], [1, 0]],
    "sparse": sp.csr_array(D),
    "more rows": D[:, :4] + 0.1,
}


@of_rows
@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_square_tables_raise_no_false_alarm(path, case):
    path(ORDINARY[case])


def test_distances_as_distances_are_not_warned_of():
    DivergenceClustering(2, metric="precomputed").fit(D).predict(D)


@of_rows
@pytest.mark.parametrize("name", ["id", "Unnamed: 0", "index", "ID"])
def test_a_column_of_identifiers_is_noticed(path, name):
    frame = pd.DataFrame(GOOD, columns=list("abc"))
    frame.insert(0, name, range(101, 106))
    with pytest.warns(UserWarning, match=rf"Column '{name}' of X goes from 101 up to 105.* X\.set_index\('{name}'\)"):
        path(frame)
    path(frame.set_index(name))


@pytest.mark.parametrize(
    "column", [{"id": [3, 1, 2, 4, 5]}, {"id": [1.0, 2.0, 3.0, 4.0, 5.5]}, {"idle": range(5)}, {"id": [1, 2, 4, 8, 9]}]
)
def test_columns_that_may_well_be_bins_raise_no_false_alarm(column):
    frame = pd.DataFrame(GOOD, columns=list("abc")).assign(**column)
    pairwise_divergences(frame)


def test_distances_that_are_taken_for_rows_are_warned_of_once():
    with pytest.warns(UserWarning, match="X is square and symmetric") as warned:
        DivergenceClustering().fit(D)
    assert len(warned) == 1


@pytest.mark.exhaustive
def test_a_series_of_polars_is_one_row():
    import polars as pl

    with pytest.raises(ValueError, match=r"one-dimensional.* one row, \[X\]"):
        pairwise_divergences(pl.Series([1, 2]))


@pytest.mark.exhaustive
def test_a_column_of_identifiers_in_a_frame_without_index_is_to_be_dropped():
    import polars as pl

    frame = pl.DataFrame(GOOD, schema=["a", "b", "c"]).with_row_index("id")
    with pytest.warns(UserWarning, match=r"from 0 up to 4, .* X\.drop\('id'\)"):
        pairwise_divergences(frame)
    np.testing.assert_array_equal(pairwise_divergences(frame.drop("id")), D)
