"""The displays: what they store, where it lies in the picture, and that the picture can be read."""

import sys
from itertools import combinations, pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from conftest import planted, random_distributions
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from scipy.cluster.hierarchy import dendrogram, fcluster, leaves_list, linkage, to_tree
from sklearn.metrics import adjusted_rand_score

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from skdiv import (
    DivergenceClustering,
    MiniBatchDivergenceClustering,
    Significance,
    divergences,
    paired_divergences,
    pairwise_divergences,
    renyi,
)
from skdiv.plotting import (
    ClusterMapDisplay,
    DendrogramDisplay,
    DistributionDisplay,
    DivergenceMatrixDisplay,
    InformationCurveDisplay,
)
from skdiv.plotting import _matrix as matrix_module
from skdiv.plotting._style import NEUTRAL, PALETTE, extent_of, unit_of
from skdiv.plotting._tree import MIXED, clusters_of_nodes, cut_of, layout_of

COUNTS, _ = planted(8, n_bins=12, n_clusters=3, seed=1)
NAMES = [f"row {k}" for k in range(len(COUNTS))]
PATH_GRAPH = sp.diags_array([np.ones(23), np.ones(23)], offsets=[-1, 1]).tocsr()
LINKAGES = [
    {"linkage": "ward"},
    {"linkage": "average", "metric": "total_variation"},
    {"linkage": "complete", "metric": "hellinger"},
    {"linkage": "single"},
    {"linkage": "information"},
    {"linkage": "average", "connectivity": PATH_GRAPH},
]


@pytest.fixture(autouse=True)
def _no_figure_is_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def clustering():
    return DivergenceClustering(3).fit(COUNTS)


def fitted(n, n_clusters=10, **keywords):
    """Rows around planted centres, and a clustering of them."""
    X, _ = planted(n // 10, n_bins=20, n_clusters=10, seed=2)
    return X, DivergenceClustering(n_clusters, **keywords).fit(X)


def random_tree(n, seed=0):
    return linkage(np.random.default_rng(seed).normal(size=(n, 2)), "average")


# --- Where a tree lies, and what belongs to which cluster ---


def links_of_scipy(tree, max_leaves=None):
    """The corners of the links as SciPy computes them, with leaf k at k + ½."""
    truncation = {} if max_leaves is None else {"truncate_mode": "lastp", "p": max_leaves}
    drawn = dendrogram(tree, no_plot=True, **truncation)
    return np.stack([np.array(drawn["icoord"]) / 10, drawn["dcoord"]], axis=-1), drawn["ivl"]


def sorted_links(links):
    """The links in one order, each from its lower to its higher position."""
    flat = np.array([link if link[0, 0] <= link[-1, 0] else link[::-1] for link in links]).reshape(len(links), -1)
    return flat[np.lexsort(flat.T)]


@pytest.mark.parametrize("keywords", LINKAGES, ids=lambda keywords: "-".join(map(str, list(keywords.values())[:1])))
@pytest.mark.parametrize("max_leaves", [None, 2, 5, 17])
def test_links_lie_where_scipy_draws_them(keywords, max_leaves):
    tree = DivergenceClustering(3, **keywords).fit(COUNTS).linkage_matrix_
    layout = layout_of(tree, np.zeros(24, dtype=int), max_leaves)
    expected, texts = links_of_scipy(tree, max_leaves)
    assert_allclose(sorted_links(layout.links), sorted_links(expected), rtol=1e-12, atol=1e-12)
    sizes = [int(text.strip("()")) if "(" in text else 1 for text in texts]
    assert_array_equal(layout.sizes, sizes)
    single = [int(text) for text in texts if "(" not in text]
    assert_array_equal(layout.leaves[layout.leaves < 24], single)


def test_a_chain_too_deep_for_scipy_is_laid_out():
    tree = linkage(np.arange(1500.0)[:, np.newaxis] ** 1.5, "single")
    with pytest.raises(RecursionError):
        dendrogram(tree, no_plot=True)
    assert len(layout_of(tree, np.zeros(1500, dtype=int)).links) == 1499


def rows_below(tree):
    """For each node the set of its leaves, by SciPy."""
    _, nodes = to_tree(tree, rd=True)
    return [set(node.pre_order()) for node in nodes]


@pytest.mark.parametrize("refine", [0, 5])
@pytest.mark.parametrize("seed", range(3))
def test_a_link_is_coloured_if_and_only_if_all_its_leaves_have_one_label(seed, refine):
    X = random_distributions(40, 6, seed=seed)
    clustering = DivergenceClustering(5, linkage="information", refine=refine).fit(X)
    display = DendrogramDisplay.from_estimator(clustering)
    drawn = [to_hex(colour) for colour in display.lines_.get_colors()]
    of_cluster = {}
    for rows, colour in zip(rows_below(clustering.linkage_matrix_)[40:], drawn, strict=True):
        labels = set(clustering.labels_[list(rows)].tolist())
        assert (colour != to_hex(NEUTRAL)) == (len(labels) == 1)
        if len(labels) == 1:
            of_cluster.setdefault(labels.pop(), set()).add(colour)
    assert all(len(colours) == 1 for colours in of_cluster.values())
    assert len(set.union(*of_cluster.values())) == len(of_cluster)


def test_of_many_clusters_those_that_follow_each_other_have_different_colours():
    _, clustering = fitted(60, n_clusters=20)
    display = DendrogramDisplay.from_estimator(clustering)
    nodes = clusters_of_nodes(clustering.linkage_matrix_, clustering.labels_)[60:]
    colours = dict(zip(nodes.tolist(), map(to_hex, display.lines_.get_colors()), strict=True))
    in_order = clustering.labels_[leaves_list(clustering.linkage_matrix_)]
    following = [pair for pair in pairwise(in_order.tolist()) if pair[0] != pair[1]]
    assert len(following) == 19
    assert all(colours[one] != colours[other] for one, other in following if {one, other} <= colours.keys())


def as_seen(colour, deficiency):
    """The CIE L*a*b* of a colour as it is seen with a colour vision deficiency (Machado, Oliveira & Fernandes 2009)."""
    rgb = np.array(to_rgb(colour))
    linear = np.clip(deficiency @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    x, y, z = np.array(to_xyz) @ linear / [0.95047, 1, 1.08883]
    f, g, h = (np.cbrt(t) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return np.array([116 * g - 16, 500 * (f - g), 200 * (g - h)])


DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}


@pytest.mark.parametrize("kind", DEFICIENCIES)
def test_the_colour_blind_tell_the_colours_apart(kind):
    seen = [as_seen(colour, DEFICIENCIES[kind]) for colour in PALETTE]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 15
    assert min(np.linalg.norm(one - other) for one, other in pairwise([*seen, seen[0]])) > 30


@pytest.mark.parametrize("keywords", [{"n_clusters": k} for k in (2, 5, 24)] + [{"distance_threshold": 0.4}])
def test_the_line_of_the_cut_separates_the_clusters(keywords):
    clustering = DivergenceClustering(**{"n_clusters": None, **keywords}).fit(COUNTS)
    display = DendrogramDisplay.from_estimator(clustering)
    labels = fcluster(clustering.linkage_matrix_, display.cut, "distance")
    assert adjusted_rand_score(labels, clustering.labels_) == 1
    assert_allclose(display.cut_line_.get_xdata(), display.cut)
    if clustering.distance_threshold is not None:
        assert display.cut == 0.4


def test_no_line_is_drawn_where_no_height_separates_the_clusters():
    tree = np.array([[0, 1, 1, 2], [2, 3, 2, 2], [4, 5, 3, 4.0]])
    assert cut_of(tree, np.array([0, 1, 2, 2])) is None  # the lower merge undone and the higher not
    assert cut_of(tree, np.array([0, 0, 0, 0])) is None
    assert cut_of(tree, np.array([0, 0, 1, 0])) is None  # as rows that were moved leave it
    assert cut_of(tree, np.array([0, 0, 1, 1])) == 2.5
    assert cut_of(tree, np.array([0, 0, 1, 1]), 2.9) == 2.9
    assert cut_of(tree, np.array([0, 0, 1, 1]), 1.5) == 2.5
    inverted = np.array([[0, 1, 3, 2], [3, 2, 2, 3.0]])
    assert cut_of(inverted, np.array([0, 0, 1])) is None


def test_the_display_of_a_tree_cut_by_significance_has_the_clusters_of_the_fit():
    counts, _ = planted(3, n_bins=6, n_clusters=2)
    clustering = DivergenceClustering(Significance(n_resamples=99, random_state=0)).fit(counts)
    display = DendrogramDisplay.from_estimator(clustering)
    assert_array_equal(display.clusters, clustering.labels_)
    assert display.ax_.get_title(loc="left") == "2 clusters of 6 rows (dotted: the cut)"


# --- The dendrogram ---


def leaf_texts(display, orientation="left"):
    axis = display.ax_.yaxis if orientation in ("left", "right") else display.ax_.xaxis
    return [text.get_text() for text in axis.get_ticklabels()]


def test_the_leaves_stand_in_the_order_of_scipy_from_the_top_or_the_left(clustering):
    expected = [NAMES[row] for row in leaves_list(clustering.linkage_matrix_)]
    for orientation in ("left", "right", "top", "bottom"):
        display = DendrogramDisplay.from_estimator(clustering, labels=NAMES, orientation=orientation)
        assert leaf_texts(display, orientation) == expected
    assert DendrogramDisplay.from_estimator(clustering).ax_.get_ylim() == (24, 0)
    numbers = leaf_texts(DendrogramDisplay.from_estimator(clustering))
    assert_array_equal(np.array(numbers, dtype=int), leaves_list(clustering.linkage_matrix_))


@pytest.mark.parametrize("orientation", ["left", "right", "top", "bottom"])
def test_links_are_drawn_at_their_heights_in_every_orientation(clustering, orientation):
    display = DendrogramDisplay.from_estimator(clustering, orientation=orientation)
    along = 1 if orientation in ("left", "right") else 0
    drawn = np.array([segment[:, 1 - along].max() for segment in display.lines_.get_segments()])
    assert_allclose(drawn, clustering.distances_)
    axis = display.ax_.xaxis if along else display.ax_.yaxis
    lower, upper = sorted(axis.get_view_interval())
    assert (lower, axis.get_inverted()) == (0, orientation in ("left", "bottom"))
    assert upper > clustering.distances_.max()
    assert axis.get_label_text() == "js_distance, ward linkage (√nats)"


def test_leaves_that_are_left_out_are_counted():
    _, clustering = fitted(200)
    display = DendrogramDisplay.from_estimator(clustering, max_leaves=15)
    texts = leaf_texts(display)
    assert len(texts) == 15
    assert sum(int(text.strip("()")) if "(" in text else 1 for text in texts) == 200
    assert len(display.lines_.get_segments()) == 14
    assert len(leaf_texts(DendrogramDisplay.from_estimator(clustering))) == 100
    assert len(leaf_texts(DendrogramDisplay.from_estimator(clustering, max_leaves=None))) == 200


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({"metric": "kl", "pseudocount": 1, "base": 2}, "kl, average linkage (bits)"),
        ({"metric": "hellinger"}, "hellinger, ward linkage"),
        ({"linkage": "information"}, "information lost by the merge (nats)"),
        ({"linkage": "information", "base": 10}, "information lost by the merge (base 10)"),
        ({"metric": renyi(3), "linkage": "single", "pseudocount": 1}, "renyi(3), single linkage (nats)"),
    ],
)
def test_the_axis_of_the_heights_names_the_metric_the_linkage_and_the_unit(keywords, name):
    display = DendrogramDisplay.from_estimator(DivergenceClustering(3, **keywords).fit(COUNTS))
    assert display.ax_.get_xlabel() == name


def test_a_tree_of_scipy_is_drawn_without_clusters():
    display = DendrogramDisplay(random_tree(10), labels=list("abcdefghij"), height_name="kilometres").plot()
    assert {to_hex(colour) for colour in display.lines_.get_colors()} == {to_hex(NEUTRAL)}
    assert display.ax_.get_xlabel() == "kilometres"
    assert display.cut_line_ is None
    assert display.ax_.get_title(loc="left") == ""


def test_precomputed_distances_have_a_dendrogram_and_a_cluster_map():
    D = pairwise_divergences(COUNTS)
    clustering = DivergenceClustering(3, metric="precomputed").fit(D)
    display = ClusterMapDisplay.from_estimator(clustering, D)
    assert display.ax_[0].get_xlabel() == "distance of the merge (average linkage)"
    assert display.matrix.colorbar_.ax.get_ylabel() == "distance"


# --- Pictures that can be read ---


def assert_readable(figure, lines=()):
    """Nothing is cut off at the edge of the figure, and no text of a list overlaps the next one."""
    figure.canvas.draw()
    (left, bottom), (right, top) = figure.get_tightbbox().get_points()
    assert min(left, bottom) >= -0.01
    assert right <= figure.get_figwidth() + 0.01
    assert top <= figure.get_figheight() + 0.01
    extents = [text.get_window_extent() for text in lines if text.get_text()]
    assert not any(one.padded(-0.5).overlaps(other.padded(-0.5)) for one, other in pairwise(extents))
    assert all(text.get_fontsize() >= 4.5 for text in lines)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("orientation", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize("n", [10, 50, 100, 300])
def test_the_texts_of_a_dendrogram_are_whole_and_apart(n, orientation):
    _, clustering = fitted(n, n_clusters=8)
    labels = [f"a rather long name {k}" for k in range(n)]
    display = DendrogramDisplay.from_estimator(clustering, labels=labels, orientation=orientation)
    axis = display.ax_.yaxis if orientation in ("left", "right") else display.ax_.xaxis
    assert len(axis.get_ticklabels()) == min(n, 100)
    assert_readable(display.figure_, axis.get_ticklabels())


@pytest.mark.sampled(2)
@pytest.mark.parametrize("n", [10, 60, 100, 300])
@pytest.mark.parametrize("display", [DivergenceMatrixDisplay, ClusterMapDisplay])
def test_the_texts_of_a_matrix_are_whole_and_apart(n, display):
    X, clustering = fitted(n, n_clusters=8)
    drawn = display.from_estimator(clustering, X, labels=[f"a rather long name {k}" for k in range(n)])
    ax = np.ravel(drawn.ax_)[-1]
    assert_readable(drawn.figure_, ax.get_yticklabels())
    assert_readable(drawn.figure_, ax.get_xticklabels())
    assert len(ax.get_yticklabels()) == (n if n <= 100 else 0)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("n_bins", [2, 20, 64, 256, 5000])
def test_the_texts_of_distributions_are_whole_and_apart(n_bins):
    p, q = random_distributions(2, n_bins)
    display = DistributionDisplay.from_distributions(p, q, feature_names=[f"bin number {k}" for k in range(n_bins)])
    assert_readable(display.figure_, display.ax_[1].get_xticklabels())
    assert 1 <= len(display.ax_[1].get_xticklabels()) <= n_bins


def test_on_given_axes_that_are_too_small_texts_are_left_out_rather_than_unreadable():
    _, clustering = fitted(100)
    ax = Figure(figsize=(3, 2)).subplots()
    assert set(leaf_texts(DendrogramDisplay.from_estimator(clustering, ax=ax))) == {""}
    figure = Figure(figsize=(6, 4), layout="constrained")
    display = DendrogramDisplay.from_estimator(clustering, ax=figure.subplots(), max_leaves=30)
    assert_readable(figure, display.ax_.get_yticklabels())


@pytest.mark.exhaustive
def test_names_with_dollar_signs_are_written_as_they_are():
    names = ["$x", "a_b$", r"$\x$", "c$ $d"]
    X = random_distributions(4, 4)
    clustering = DivergenceClustering(2).fit(X)
    for display, axis in (
        (DendrogramDisplay.from_estimator(clustering, labels=names), "y"),
        (ClusterMapDisplay.from_estimator(clustering, X, labels=names), "y"),
        (DistributionDisplay.from_distributions(*X[:2], feature_names=names), "x"),
    ):
        display.figure_.canvas.draw()
        ax = np.ravel(display.ax_)[-1]
        assert {text.get_text() for text in (ax.get_yticklabels() if axis == "y" else ax.get_xticklabels())} == set(
            names
        )


# --- The conventions of displays ---


def drawn_displays(clustering):
    """A display of each kind, drawn."""
    p, q = COUNTS[:2]
    information = DivergenceClustering(3, linkage="information").fit(COUNTS)
    return [
        DendrogramDisplay.from_estimator(clustering),
        DivergenceMatrixDisplay.from_estimator(clustering, COUNTS),
        ClusterMapDisplay.from_estimator(clustering, COUNTS),
        DistributionDisplay.from_distributions(p, q),
        InformationCurveDisplay.from_estimator(information),
    ]


def test_a_display_is_drawn_again_on_given_axes_without_a_new_figure(clustering):
    for display in drawn_displays(clustering):
        n_axes, first = np.size(display.ax_), display.figure_
        n_figures = len(plt.get_fignums())
        figure = Figure()
        axes = figure.subplots(1, n_axes)
        assert display.plot(axes) is display
        assert_array_equal(np.ravel(display.ax_), np.ravel(axes))
        assert display.figure_ is figure is not first
        assert len(plt.get_fignums()) == n_figures
        figure.canvas.draw()


def test_without_axes_each_call_draws_on_a_new_figure(clustering):
    for display in drawn_displays(clustering):
        first = display.figure_
        assert display.plot().figure_ is not first


def test_a_display_of_two_panels_refuses_a_single_axes(clustering):
    ax = Figure().subplots()
    with pytest.raises(ValueError, match="ax must be two axes"):
        ClusterMapDisplay.from_estimator(clustering, COUNTS, ax=ax)
    with pytest.raises(ValueError, match="ax must be two axes"):
        DistributionDisplay.from_distributions([1, 2], [2, 1], ax=ax)


def test_the_data_of_a_display_do_not_need_matplotlib_and_drawing_says_what_to_install(clustering, monkeypatch):
    displays = drawn_displays(clustering)
    plt.close("all")
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    DendrogramDisplay(clustering.linkage_matrix_, clusters=clustering.labels_)
    for display in displays:
        with pytest.raises(ImportError, match=rf"{type(display).__name__}\.plot .*install matplotlib"):
            display.plot()


def test_names_are_titles_and_keywords_reach_what_is_drawn(clustering):
    tree = DendrogramDisplay.from_estimator(clustering, name="A tree", line_kwargs={"linewidths": 3})
    assert tree.ax_.get_title(loc="left") == "A tree"
    assert set(tree.lines_.get_linewidths()) == {3}
    matrix = DivergenceMatrixDisplay.from_estimator(
        clustering, COUNTS, name="A matrix", image_kwargs={"cmap": "viridis", "vmax": 2}
    )
    assert matrix.ax_.get_title() == "A matrix"
    assert (matrix.im_.get_cmap().name, matrix.im_.get_clim()) == ("viridis", (0, 2))
    bars = DistributionDisplay.from_distributions([1, 2], [2, 1], bar_kwargs={"alpha": 0.5})
    assert bars.bars_[0].patches[0].get_alpha() == 0.5
    information = DivergenceClustering(3, linkage="information").fit(COUNTS)
    curve = InformationCurveDisplay.from_estimator(information, name="A curve", curve_kwargs={"color": "red"})
    assert (curve.ax_.get_title(), curve.line_.get_color()) == ("A curve", "red")


def test_a_norm_of_ones_own_maps_the_matrix_to_colours():
    norm = mpl.colors.LogNorm(0.1, 1)
    display = DivergenceMatrixDisplay.from_matrix(np.eye(3) + 0.1, image_kwargs={"norm": norm})
    assert display.im_.norm is norm


def test_an_estimator_without_a_tree_is_refused():
    by_batches = MiniBatchDivergenceClustering(2, random_state=0).fit(COUNTS)
    with pytest.raises(TypeError, match="MiniBatchDivergenceClustering has none"):
        DendrogramDisplay.from_estimator(by_batches)
    with pytest.raises(TypeError, match="MiniBatchDivergenceClustering has none"):
        DivergenceMatrixDisplay.from_estimator(by_batches, COUNTS)


# --- The matrix ---


def test_the_image_is_the_matrix_in_the_order_of_the_tree(clustering):
    display = DivergenceMatrixDisplay.from_estimator(clustering, COUNTS)
    order = leaves_list(clustering.linkage_matrix_)
    expected = pairwise_divergences(COUNTS)[np.ix_(order, order)]
    assert_array_equal(display.im_.get_array(), expected)
    assert display.im_.get_extent() == [0, 24, 24, 0]
    assert display.colorbar_.ax.get_ylabel() == "js_distance (√nats)"
    assert display.im_.get_clim()[0] == 0


def test_each_cluster_is_outlined(clustering):
    display = DivergenceMatrixDisplay.from_estimator(clustering, COUNTS)
    in_order = clustering.labels_[display.order]
    assert len(display.outlines_) == 3
    for outline in display.outlines_:
        start, side = int(outline.get_x()), int(outline.get_width())
        assert (outline.get_y(), outline.get_height()) == (start, side)
        inside = in_order[start : start + side]
        assert len(set(inside)) == 1
        assert np.count_nonzero(in_order == inside[0]) == side


def test_the_parameters_of_the_clustering_are_those_of_its_matrix():
    clustering = DivergenceClustering(3, metric="kl", pseudocount=0.5, base=2).fit(COUNTS)
    display = DivergenceMatrixDisplay.from_estimator(clustering, COUNTS)
    assert_array_equal(display.matrix, pairwise_divergences(COUNTS, metric="kl", pseudocount=0.5, base=2))
    assert display.colorbar_.ax.get_ylabel() == "kl, D(p ‖ q) (bits)"
    assert (display.ax_.get_ylabel(), display.ax_.get_xlabel()) == ("p", "q")


def test_rows_have_the_names_of_a_frame_or_those_that_are_given(clustering):
    frame = pd.DataFrame(COUNTS, index=NAMES, columns=[f"bin {k}" for k in range(12)])
    fitted_frame = DivergenceClustering(3).fit(frame)
    order = leaves_list(fitted_frame.linkage_matrix_)
    for display in (
        DivergenceMatrixDisplay.from_estimator(fitted_frame, frame),
        DivergenceMatrixDisplay.from_estimator(clustering, COUNTS, labels=NAMES),
        DivergenceMatrixDisplay.from_matrix(
            pd.DataFrame(pairwise_divergences(COUNTS), index=NAMES, columns=NAMES), order=order
        ),
        ClusterMapDisplay.from_estimator(fitted_frame, frame),
    ):
        ax = np.ravel(display.ax_)[-1]
        expected = [NAMES[row] for row in order]
        assert [text.get_text() for text in ax.get_yticklabels()] == expected
        assert [text.get_text() for text in ax.get_xticklabels()] == expected


def test_a_matrix_is_sorted_by_clusters_or_drawn_as_it_is():
    D = np.arange(16.0).reshape(4, 4)
    assert_array_equal(DivergenceMatrixDisplay.from_matrix(D).im_.get_array(), D)
    by_cluster = DivergenceMatrixDisplay.from_matrix(D, clusters=["b", "a", "b", "a"])
    assert_array_equal(by_cluster.order, [1, 3, 0, 2])
    assert_array_equal(by_cluster.im_.get_array(), D[np.ix_([1, 3, 0, 2], [1, 3, 0, 2])])
    assert len(by_cluster.outlines_) == 2


def test_infinite_entries_have_a_colour_of_their_own_and_a_legend():
    D = pairwise_divergences(random_distributions(6, 4, zeros=0.5), metric="kl")
    display = DivergenceMatrixDisplay.from_matrix(D)
    image = display.im_.get_array()
    assert_array_equal(np.ma.getmaskarray(image), np.isinf(D))
    assert np.isinf(D).any()
    colours = display.im_.to_rgba(image)
    bad = to_rgb(matrix_module._INFINITE)
    assert_allclose(colours[np.isinf(D)][:, :3], np.broadcast_to(bad, (np.isinf(D).sum(), 3)), atol=0.01)
    assert min(np.abs(mpl.colormaps["magma"](np.linspace(0, 1, 256))[:, :3] - bad).sum(axis=1)) > 0.3
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["infinite"]
    finite = DivergenceMatrixDisplay.from_matrix(np.zeros((2, 2)))
    assert finite.ax_.get_legend() is None


def test_a_large_matrix_is_drawn_as_the_means_of_its_blocks(monkeypatch):
    monkeypatch.setattr(matrix_module, "_MOST_CELLS", 5)
    D = pairwise_divergences(random_distributions(15, 4))
    order = np.random.default_rng(0).permutation(15)
    display = DivergenceMatrixDisplay.from_matrix(D, order=order, clusters=np.arange(15) // 8)
    expected = D[np.ix_(order, order)].reshape(5, 3, 5, 3).mean(axis=(1, 3))
    assert_allclose(display.im_.get_array(), expected, rtol=1e-12)
    assert display.im_.get_extent() == [0, 15, 15, 0]
    parts = np.array_split(np.arange(13), [2, 5, 7, 10])  # which are not of one size
    expected = [[D[np.ix_(rows, columns)].mean() for columns in parts] for rows in parts]
    assert_allclose(DivergenceMatrixDisplay.from_matrix(D[:13, :13]).im_.get_array(), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("D", "keywords", "message"),
    [
        (np.zeros((2, 3)), {}, r"must be square, but its shape is \(2, 3\)"),
        ([[0, np.nan], [1, 0]], {}, r"NaN at \[0, 1\]"),
        (np.zeros((2, 2)), {"order": [0, 0]}, "order must hold each of the numbers from 0 to 1 once"),
        (np.zeros((2, 2)), {"labels": ["a"]}, "labels has 1 texts for 2 rows"),
        (np.zeros((2, 2)), {"clusters": [1]}, "pass one cluster for each row"),
    ],
)
def test_a_matrix_that_cannot_be_drawn_is_refused(D, keywords, message):
    with pytest.raises(ValueError, match=message):
        DivergenceMatrixDisplay.from_matrix(D, **keywords)


def test_other_rows_than_those_that_were_fitted_are_refused(clustering):
    with pytest.raises(ValueError, match="X has 5 rows, but the tree has 24"):
        DivergenceMatrixDisplay.from_estimator(clustering, COUNTS[:5])
    with pytest.raises(ValueError, match="labels has 2 texts for 24 rows"):
        DendrogramDisplay.from_estimator(clustering, labels=["a", "b"])
    with pytest.raises(ValueError, match="orientation = 'up' must be one of"):
        DendrogramDisplay.from_estimator(clustering, orientation="up")
    with pytest.raises(ValueError, match="max_leaves == 1, must be >= 2"):
        DendrogramDisplay.from_estimator(clustering, max_leaves=1)


@pytest.mark.parametrize("n", [24, 120])  # A tree alone would be cut at 100 leaves.
def test_a_row_of_the_matrix_lies_beside_its_leaf(n):
    rows = np.tile(COUNTS, (5, 1))[:n] + np.arange(n)[:, np.newaxis] // 24
    display = ClusterMapDisplay.from_estimator(DivergenceClustering(3).fit(rows), rows)
    tree, matrix = display.ax_
    display.figure_.canvas.draw()
    assert tree.get_ylim() == matrix.get_ylim() == (n, 0)
    assert_allclose(tree.get_window_extent().intervaly, matrix.get_window_extent().intervaly)
    assert len(display.dendrogram.lines_.get_segments()) == n - 1


def test_displays_say_what_was_fitted_whatever_the_parameters_are_now():
    def words(clustering):
        display = ClusterMapDisplay.from_estimator(clustering, COUNTS)
        tree, matrix = display.dendrogram, display.matrix
        return tree.height_name, tree.cut, matrix.matrix_name, matrix.symmetric, matrix.matrix.tolist()

    others = {"metric": "hellinger", "base": None, "pseudocount": 9.0, "linkage": "single", "distance_threshold": 0.3}
    for params in (
        {"metric": "kl", "pseudocount": 0.5, "base": 2, "distance_threshold": 1.5},
        {"metric": "js_distance", "linkage": "information", "base": 10, "distance_threshold": 0.01},
    ):
        clustering = DivergenceClustering(None, **params).fit(COUNTS)
        before = words(clustering)
        assert before[1] == params["distance_threshold"]
        assert words(clustering.set_params(**others)) == before
        assert words(clustering.set_params(metric="precomputed", n_clusters=4, distance_threshold=None)) == before
    D = pairwise_divergences(COUNTS)
    clustering = DivergenceClustering(3, metric="precomputed").fit(D).set_params(metric="kl", base=2)
    assert DendrogramDisplay.from_estimator(clustering).height_name == "distance of the merge (average linkage)"
    assert DivergenceMatrixDisplay.from_estimator(clustering, D).matrix_name == "distance"


def test_a_display_fits_into_a_part_of_a_figure(clustering):
    figure = plt.figure(figsize=(12, 5))
    left, right = figure.subfigures(1, 2)
    display = ClusterMapDisplay.from_estimator(clustering, COUNTS, labels=NAMES, ax=left.subplots(1, 2))
    assert display.figure_ is left
    DistributionDisplay.from_distributions([1, 2], [2, 1], ax=right.subplots(2))
    whole = figure.add_axes((0, 0, 0.5, 1))
    np.testing.assert_allclose(extent_of(whole), (6, 5))


def test_rows_of_a_day_each_have_short_names(clustering):
    frame = pd.DataFrame(COUNTS, index=pd.date_range("2024-02-28", periods=24))
    display = DivergenceMatrixDisplay.from_estimator(clustering, frame)
    assert display.labels[:2] == ["2024-02-28", "2024-02-29"]


UNSEEN = [
    (lambda: DivergenceMatrixDisplay.from_matrix(np.empty((0, 0))), ValueError, "The matrix has no rows"),
    (lambda: DivergenceMatrixDisplay.from_matrix(sp.eye_array(3)), TypeError, r"sparse, .*pass D\.toarray\(\)"),
    (lambda: DivergenceMatrixDisplay.from_matrix(np.ma.masked_equal(np.eye(3), 1)), TypeError, "is a masked array"),
    (lambda: DivergenceMatrixDisplay.from_matrix(np.eye(2), clusters=[None, 1]), TypeError, "clusters must hold one"),
    (lambda: DendrogramDisplay(np.zeros((3, 3))), ValueError, "linkage_matrix"),
    (lambda: DendrogramDisplay([[0, 1, 1, 2], [2, 2, 2, 3]]), ValueError, "linkage_matrix"),
    (lambda: DistributionDisplay([0.5, 0.5], [1], [0, 0]), ValueError, r"shapes are \(2,\), \(1,\) and \(2,\)"),
    (lambda: DistributionDisplay.from_distributions([1, 1], [1, 1], labels=("a",)), ValueError, "must be two texts"),
    (lambda: InformationCurveDisplay([1, 2], [0, 1], chosen=7), ValueError, "chosen = 7 is none of the numbers"),
    (lambda: InformationCurveDisplay([1, 2, 3], [0, 1]), ValueError, r"shapes are \(3,\) and \(2,\)"),
]


@pytest.mark.parametrize(("make", "error", "message"), UNSEEN, ids=[message for *_, message in UNSEEN])
def test_what_cannot_be_drawn_is_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()
    assert not plt.get_fignums()


def test_a_display_has_a_tree_of_its_own(clustering):
    before = clustering.linkage_matrix_.copy()
    DendrogramDisplay.from_estimator(clustering).linkage_matrix[:] = 0
    assert_array_equal(clustering.linkage_matrix_, before)


def test_no_grid_lies_over_a_matrix_whatever_the_defaults(clustering):
    with mpl.rc_context({"axes.grid": True}):
        display = DivergenceMatrixDisplay.from_estimator(clustering, COUNTS, labels=NAMES)
    lines = [*display.ax_.get_xgridlines(), *display.ax_.get_ygridlines()]
    assert lines
    assert not any(line.get_visible() for line in lines)


def test_a_tree_of_plain_lists_is_drawn():
    assert len(DendrogramDisplay([[0, 1, 1, 2], [2, 3, 2, 3]]).plot().lines_.get_segments()) == 2


def test_properties_of_the_user_replace_those_of_the_display():
    display = DistributionDisplay.from_distributions([1, 2], [2, 1], bar_kwargs={"color": "k", "width": 0.3})
    assert {(to_hex(bar.get_facecolor()), round(bar.get_width(), 9)) for bars in display.bars_ for bar in bars} == {
        ("#000000", 0.3)
    }
    curve = InformationCurveDisplay([1, 2, 3], [0, 0.5, 1]).plot(curve_kwargs={"c": "k", "lw": 3, "ls": ":"})
    assert (curve.line_.get_color(), curve.line_.get_linewidth(), curve.line_.get_linestyle()) == ("k", 3, ":")


# --- Distributions ---


def heights(bars):
    return np.array([bar.get_height() for bar in bars])


@pytest.mark.parametrize("metric", ["js_distance", "kl", "total_variation"])
def test_bars_are_the_distributions_and_what_each_bin_adds_from_zero_on_linear_axes(metric):
    p, q = random_distributions(2, 7, seed=3)
    display = DistributionDisplay.from_distributions(10 * p, q, metric=metric)
    assert_allclose(heights(display.bars_[0]), p)
    assert_allclose(heights(display.bars_[1]), q)
    total = heights(display.bars_[2]).sum()
    assert_allclose(total, paired_divergences([p], [q], metric)[0] ** (2 if metric == "js_distance" else 1))
    for ax in display.ax_:
        assert ax.get_yscale() == "linear"
        assert ax.get_ylim()[0] == 0
    assert all(bar.get_y() == 0 for bars in display.bars_ for bar in bars)


def test_of_many_bins_those_that_add_the_most_are_drawn_and_the_axis_says_so():
    p, q = random_distributions(2, 1000, seed=3)
    display = DistributionDisplay.from_distributions(p, q)
    assert len(display.bars_[2]) == 30
    added = heights(display.bars_[2])
    assert_allclose(added, np.sort(display.contributions)[::-1][:30])
    share = round(100 * added.sum() / display.contributions.sum())
    assert display.ax_[1].get_xlabel() == f"the 30 of 1,000 bins that add the most ({share} % of the sum)"
    assert len(DistributionDisplay.from_distributions(p, q, top=4).bars_[0]) == 4
    few = DistributionDisplay.from_distributions(p[:9], q[:9], feature_names=list("abcdefghi"))
    assert [text.get_text() for text in few.ax_[1].get_xticklabels()] == list("abcdefghi")
    assert few.ax_[1].get_xlabel() == ""


def test_an_infinite_contribution_is_a_hatched_bar_above_all_finite_ones():
    display = DistributionDisplay.from_distributions([1, 1, 2], [1, 0, 3], metric="kl")
    hatched = [bool(bar.get_hatch()) for bar in display.bars_[2]]
    assert_equal(hatched, [False, True, False])
    assert np.argmax(heights(display.bars_[2])) == 1
    assert [text.get_text() for text in display.ax_[1].texts] == ["∞"]
    assert np.isinf(display.contributions[1])
    assert display.plot(top=2).ax_[1].get_xlabel() == "the 2 of 3 bins that add the most"  # no share of infinity


def test_bars_of_a_series_have_the_names_of_its_index_and_the_legend_those_of_the_distributions():
    p = pd.Series([3, 1], index=["sun", "rain"])
    display = DistributionDisplay.from_distributions(p, [1, 1], labels=("Rome", "Bergen"), base=2, metric="jeffreys")
    assert [text.get_text() for text in display.ax_[1].get_xticklabels()] == ["sun", "rain"]
    assert [text.get_text() for text in display.ax_[0].get_legend().get_texts()] == ["Rome", "Bergen"]
    assert display.ax_[1].get_ylabel() == "adds to jeffreys (bits)"


def test_collections_and_divergences_without_contributions_are_refused():
    with pytest.raises(ValueError, match="pass one row of each"):
        DistributionDisplay.from_distributions([[1, 2]], [[2, 1]])
    with pytest.raises(ValueError, match="no sum over the bins"):
        DistributionDisplay.from_distributions([1, 2], [2, 1], metric="bhattacharyya")


# --- Information ---


@pytest.mark.parametrize("n", [24, 200])
def test_the_curve_is_that_of_the_fit_and_the_chosen_number_is_marked(n):
    X = random_distributions(n, 6)
    clustering = DivergenceClustering(5, linkage="information").fit(X)
    display = InformationCurveDisplay.from_estimator(clustering)
    assert_array_equal(display.line_.get_xdata(), clustering.information_curve_[0])
    assert_array_equal(display.line_.get_ydata(), clustering.information_curve_[1])
    retained = clustering.information_curve_[1][4]
    assert (display.mark_.get_xdata()[0], display.mark_.get_ydata()[0]) == (5, retained)
    (text,) = display.ax_.get_legend().get_texts()
    assert text.get_text() == f"5 clusters retain {100 * retained:.1f} %"
    assert display.ax_.get_xscale() == ("linear" if n <= 100 else "log")
    assert_readable(display.figure_)


def test_another_linkage_has_no_curve(clustering):
    with pytest.raises(ValueError, match="linkage='information' alone.* fitted with 'ward'"):
        InformationCurveDisplay.from_estimator(clustering)


# --- Words ---


def test_units_follow_the_base():
    assert [unit_of(exponent, None) for exponent in (None, 1.0, 0.5)] == ["", "nats", "√nats"]
    assert [unit_of(exponent, 2) for exponent in (None, 1.0, 0.5)] == ["", "bits", "√bits"]
    assert {unit_of(record.base_exponent, None) for record in divergences().values()} == {"", "nats", "√nats"}


def test_a_mixed_node_has_no_cluster():
    tree = np.array([[0, 1, 1, 2], [3, 2, 2, 3.0]])
    assert_array_equal(clusters_of_nodes(tree, np.array([4, 4, 7])), [4, 4, 7, 4, MIXED])
    assert isinstance(DendrogramDisplay(tree).plot().lines_, LineCollection)
