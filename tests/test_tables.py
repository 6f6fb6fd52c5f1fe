"""Tables have the names of the frames that they were made of, and the numbers of the functions without names."""

import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import POLARS, planted
from sklearn.exceptions import NotFittedError

from skdiv import DivergenceClustering, MiniBatchDivergenceClustering, pairwise_divergences
from skdiv.tables import centers_frame, divergence_frame, labels_frame

COUNTS, _ = planted(5)
BINS = [f"bin {k}" for k in range(30)]
DAYS = pd.date_range("2024-01-01", periods=15, name="day")
FRAME = pd.DataFrame(COUNTS, index=DAYS, columns=BINS)


def test_a_matrix_has_the_names_of_its_rows():
    D = divergence_frame(FRAME)
    pd.testing.assert_index_equal(D.index, DAYS)
    pd.testing.assert_index_equal(D.columns, DAYS)
    np.testing.assert_array_equal(D.to_numpy(), pairwise_divergences(COUNTS))


def test_a_matrix_of_two_collections_has_the_names_of_both():
    places = pd.DataFrame(COUNTS[3:5], index=["Oslo", "Rome"], columns=BINS)
    D = divergence_frame(FRAME, places, "kl", base=2, pseudocount=0.5, n_jobs=2)
    pd.testing.assert_index_equal(D.index, DAYS)
    assert list(D.columns) == ["Oslo", "Rome"]
    expected = pairwise_divergences(FRAME, places, "kl", base=2, pseudocount=0.5)
    np.testing.assert_array_equal(D.to_numpy(), expected)
    assert D.loc["2024-01-02", "Rome"] == expected[1, 1]


def test_rows_are_named_by_several_levels_too():
    index = pd.MultiIndex.from_product([["a", "b", "c"], range(5)], names=["site", "sensor"])
    D = divergence_frame(FRAME.set_axis(index))
    assert D.loc[("b", 2), ("c", 4)] == pairwise_divergences(COUNTS)[7, 14]
    assert D.columns.names == ["site", "sensor"]


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array, POLARS, list])
def test_names_are_given_where_there_are_none(convert):
    names = [f"row {k}" for k in range(15)]
    rows = convert(COUNTS)
    assert list(divergence_frame(rows).index) == list(divergence_frame(rows).columns) == list(range(15))
    named = divergence_frame(rows, index=names)
    assert list(named.index) == list(named.columns) == names
    both = divergence_frame(rows, rows, index=names, columns=range(100, 115))
    assert list(both.columns) == list(range(100, 115))
    np.testing.assert_array_equal(named, divergence_frame(FRAME))


def test_as_many_names_as_rows():
    with pytest.raises(ValueError, match="index holds 2 names for 15 rows"):
        divergence_frame(COUNTS, index=["a", "b"])
    with pytest.raises(ValueError, match="columns holds 2 names for 3 rows"):
        divergence_frame(COUNTS, COUNTS[:3], columns=["a", "b"])
    with pytest.raises(ValueError, match="index holds 1 names for 15 rows"):
        labels_frame(DivergenceClustering().fit(COUNTS), COUNTS, index=["a"])


@pytest.mark.parametrize("assign", ["member", "center"])
@pytest.mark.parametrize("output", ["default", "pandas", pytest.param("polars", marks=pytest.mark.exhaustive)])
def test_labels_beside_names_and_distances(assign, output):
    clustering = DivergenceClustering(3, assign=assign).set_output(transform=output).fit(FRAME[:8])
    table = labels_frame(clustering, FRAME)
    pd.testing.assert_index_equal(table.index, DAYS)
    np.testing.assert_array_equal(table["label"], clustering.predict(FRAME))
    np.testing.assert_array_equal(table["distance"], np.asarray(clustering.transform(FRAME)).min(axis=1))


def test_rows_of_no_cluster_have_no_distance():
    clustering = DivergenceClustering(2, metric="kl", handle_empty="label").fit([[1, 2, 0], [2, 1, 0], [1, 1, 0]])
    table = labels_frame(clustering, [[1, 2, 0], [0, 0, 0], [1, 0, 1]], index=["Oslo", "Rome", "Nice"])
    assert table["label"].loc[["Rome", "Nice"]].tolist() == [-1, -1]
    np.testing.assert_array_equal(table["distance"], [0, np.nan, np.inf])


@pytest.mark.parametrize("model", [DivergenceClustering(3), MiniBatchDivergenceClustering(3, random_state=0)], ids=str)
def test_centers_have_the_names_of_the_bins(model):
    table = centers_frame(model.fit(FRAME))
    assert list(table.columns) == BINS
    assert table.index.name == "cluster"
    np.testing.assert_array_equal(table.to_numpy(), model.cluster_centers_)
    table.iloc[0, 0] = -1  # The table is a copy.
    assert model.cluster_centers_.min() >= 0
    assert list(centers_frame(model.fit(COUNTS)).columns) == list(range(30))


def test_distances_have_no_centers():
    with pytest.raises(ValueError, match="was fitted to distances, which have no centers"):
        centers_frame(DivergenceClustering(metric="precomputed").fit(pairwise_divergences(COUNTS)))
    with pytest.raises(NotFittedError):
        centers_frame(DivergenceClustering())


@pytest.mark.parametrize("output", ["pandas", pytest.param("polars", marks=pytest.mark.exhaustive)])
def test_transform_keeps_the_names_of_the_rows(output):
    table = DivergenceClustering(3).set_output(transform=output).fit(FRAME).transform(FRAME)
    assert list(table.columns) == [f"divergenceclustering{k}" for k in range(3)]
    if output == "pandas":
        pd.testing.assert_index_equal(table.index, DAYS)


def test_without_pandas_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        ImportError, match=r"skdiv.tables makes pandas frames, and pandas is not installed; install pandas\."
    ):
        divergence_frame(COUNTS)
