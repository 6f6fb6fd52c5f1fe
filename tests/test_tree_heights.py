"""Heights of the trees of many tables at once, against SciPy's trees and those of a fit."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from skdiv import DivergenceClustering
from skdiv._significance import heights
from skdiv._significance.heights import Tables, TreeHeights
from skdiv.cluster._fitting import measure_of

pytestmark = pytest.mark.usefixtures("kernel")
LINKAGES = ["ward", "average", "complete", "single", "information"]


def stack(n_tables, n_rows, n_bins=40, seed=0):
    """Counts with so many observations that no two distances are equal."""
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(1, 30, (n_tables * n_rows, n_bins))).astype(float)


def heights_of(rows, n_rows, linkage, masses=None, **parameters):
    model = DivergenceClustering(linkage=linkage, **parameters)
    function = TreeHeights(measure_of(model), linkage, parameters.get("pseudocount", 0.0))
    return function(Tables(rows, masses, n_rows))


@pytest.mark.parametrize("n_rows", [2, 3, 4, 9])
@pytest.mark.parametrize("linkage", ["ward", "average", "complete", "single"])
def test_heights_are_those_of_scipys_trees(linkage, n_rows):
    rows = stack(5, n_rows)
    trees = [hierarchy.linkage(pdist(table, "jensenshannon"), linkage) for table in rows.reshape(5, n_rows, -1)]
    np.testing.assert_allclose(heights_of(rows, n_rows, linkage), [tree[-1, 2] for tree in trees], rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("n_rows", [2, 3, 7, 26])
def test_heights_are_those_of_a_fit(linkage, n_rows, weighted):
    """Of many rows too, whose trees are built one by one."""
    rows = stack(3, n_rows)
    masses = np.random.default_rng(1).uniform(0.2, 5, (3, n_rows)) if weighted else None
    found = heights_of(sp.csr_array(rows) if weighted else rows, n_rows, linkage, masses)
    for k, table in enumerate(rows.reshape(3, n_rows, -1)):
        fitted = DivergenceClustering(1, linkage=linkage).fit(table, sample_weight=masses[k] if weighted else None)
        assert found[k] == pytest.approx(fitted.distances_[-1], rel=1e-9)


@pytest.mark.parametrize("parameters", [
    {"metric": "kl", "pseudocount": 0.5}, {"metric": "kl", "pseudocount": 0.5, "symmetrize": "max"},
    {"metric": "hellinger"}, {"metric": "total_variation"}, {"metric": "js_divergence", "base": 2},
])  # fmt: skip
def test_heights_have_the_measure_of_the_fit(parameters):
    rows = stack(4, 5)
    fitted = [DivergenceClustering(1, linkage="average", **parameters).fit(table) for table in rows.reshape(4, 5, -1)]
    expected = [each.distances_[-1] for each in fitted]
    np.testing.assert_allclose(heights_of(rows, 5, "average", **parameters), expected, rtol=1e-9)


@pytest.mark.parametrize("linkage", LINKAGES)
def test_equal_rows_have_no_height(linkage):
    assert (heights_of(np.tile(stack(1, 1), (12, 1)), 4, linkage) == 0).all()
    near = np.tile(stack(1, 1), (4, 1))
    near[3, 0] += 1
    fitted = DivergenceClustering(1, linkage=linkage).fit(near)
    assert heights_of(near, 4, linkage)[0] == pytest.approx(fitted.distances_[-1], rel=1e-9)


def test_a_few_rows_are_not_put_through_the_linkage_one_by_one(monkeypatch):
    monkeypatch.setattr(heights, "tree_of_rows", None)
    assert len(heights_of(stack(6, heights.FEW_ROWS), heights.FEW_ROWS, "ward")) == 6
    with pytest.raises(TypeError):
        heights_of(stack(1, heights.FEW_ROWS + 1), heights.FEW_ROWS + 1, "ward")


def test_infinite_distances_are_refused_with_their_rows():
    rows = np.tile([[9.0, 1, 1], [9, 1, 1], [9, 1, 1]], (3, 1))
    rows[5] = [9, 2, 0]
    message = r"Counts drawn for the test of significance: metric 'kl' is infinite between X\[0\] and X\[2\]"
    with pytest.raises(ValueError, match=message):
        heights_of(rows, 3, "average", metric="kl")
