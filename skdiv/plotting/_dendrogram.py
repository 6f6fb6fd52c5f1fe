"""A picture of the tree of a clustering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from scipy.cluster.hierarchy import is_valid_linkage, leaves_list
from sklearn.utils import check_scalar

from skdiv._utils.typing import FloatArray, Labels
from skdiv.plotting._style import (
    LINE,
    NEUTRAL,
    clusters_of,
    colours_of,
    extent_of,
    font_size,
    inches_of_lines,
    inches_of_texts,
    name_of_height,
    pyplot,
    texts_of,
    tree_of,
)
from skdiv.plotting._tree import MIXED, TreeLayout, cut_of, layout_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

Orientation = Literal["left", "right", "top", "bottom"]


class DendrogramDisplay:
    """The tree of a clustering, with its clusters in colours and the cut as a line.

    `from_estimator` makes it from a fitted `DivergenceClustering`, the constructor from any tree of
    `scipy.cluster.hierarchy`. The parameters are stored as attributes.

    Parameters
    ----------
    linkage_matrix : ndarray of shape (n - 1, 4)
        The tree in the format of `scipy.cluster.hierarchy`.
    clusters : array-like of shape (n,), optional
        The cluster of each leaf. A link is coloured if all leaves below it belong to one cluster, and grey if not.
    labels : sequence of length n, optional
        The names of the leaves; by default the positions of the rows.
    cut : float, optional
        The height at which a dotted line is drawn.
    height_name : str, default="height"
        The label of the axis of the heights.
    name : str, optional
        The title; by default it tells how many clusters there are.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the last `plot`.
    figure_ : matplotlib.figure.Figure
        Their figure.
    lines_ : matplotlib.collections.LineCollection
        The links that were drawn.
    cut_line_ : matplotlib.lines.Line2D or None
        The line of the cut, if there is one.

    See Also
    --------
    ClusterMapDisplay : The tree beside the matrix of divergences.
    scipy.cluster.hierarchy.dendrogram : Draws a tree of SciPy without the clusters.

    Notes
    -----
    The colours can be told apart by people with colour blindness. Up to eight clusters have different colours; of more
    clusters, those that follow each other in the tree have different ones. The colours are those of the clusters: where
    ``refine`` has moved rows, the links above rows of different clusters are grey at any height. The cut is drawn if
    one height separates all clusters.

    Examples
    --------
    >>> from skdiv import DivergenceClustering
    >>> from skdiv.plotting import DendrogramDisplay
    >>> clustering = DivergenceClustering(n_clusters=2).fit([[8, 1, 1], [7, 2, 1], [1, 1, 8], [0, 2, 8]])
    >>> display = DendrogramDisplay.from_estimator(clustering, labels=["Oslo", "Bergen", "Rome", "Bari"])
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['Oslo', 'Bergen', 'Rome', 'Bari']
    """

    ax_: Axes
    figure_: Figure
    lines_: LineCollection
    cut_line_: Any

    def __init__(
        self,
        linkage_matrix: FloatArray,
        *,
        clusters: Any = None,
        labels: Sequence[Any] | None = None,
        cut: float | None = None,
        height_name: str = "height",
        name: str | None = None,
    ) -> None:
        self.linkage_matrix = np.array(linkage_matrix, dtype=np.float64)
        is_valid_linkage(self.linkage_matrix, throw=True, name="linkage_matrix")
        n = len(self.linkage_matrix) + 1
        self.clusters: Labels | None = clusters_of(clusters, n)
        self.labels = texts_of(labels, n)
        self.cut = cut
        self.height_name = height_name
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        clustering: Any,
        *,
        labels: Sequence[Any] | None = None,
        max_leaves: int | None = 100,
        orientation: Orientation = "left",
        name: str | None = None,
        ax: Axes | None = None,
        line_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the tree of a fitted estimator.

        Parameters
        ----------
        clustering : DivergenceClustering
            A fitted estimator, of any linkage, with or without a connectivity.
        labels : sequence of length n_samples, optional
            The names of the leaves; by default the positions of the rows.
        max_leaves : int or None, default=100
            The largest number of leaves, as in `plot`.
        orientation : {"left", "right", "top", "bottom"}, default="left"
            Where the root is.
        name : str, optional
            The title; by default it tells how many clusters there are.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure.
        line_kwargs : dict, optional
            Properties of the links, for `matplotlib.collections.LineCollection`.

        Returns
        -------
        DendrogramDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no tree.
        ValueError
            If there is not one label for each row, or another argument is not valid.
        ImportError
            If matplotlib is not installed.
        """
        display = cls._of(clustering, labels, name)
        return display.plot(ax, max_leaves=max_leaves, orientation=orientation, line_kwargs=line_kwargs)

    @classmethod
    def _of(cls, clustering: Any, labels: Sequence[Any] | None, name: str | None = None) -> Self:
        """Return the display of a fitted estimator, without drawing it."""
        tree = tree_of(clustering, cls.__name__)
        return cls(
            tree,
            clusters=clustering.labels_,
            labels=labels,
            cut=cut_of(tree, clustering.labels_, clustering._distance_threshold),
            height_name=name_of_height(clustering),
            name=name,
        )

    def plot(
        self,
        ax: Axes | None = None,
        *,
        max_leaves: int | None = 100,
        orientation: Orientation = "left",
        line_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the tree.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure, in which there is room for the leaves and their texts. On
            given axes the texts are as small as the room requires, and are left out if that is below 4.5 points.
        max_leaves : int or None, default=100
            The largest number of leaves. If there are more rows, only the last merges are drawn, and a leaf that stands
            for several rows has their number in parentheses. None is for all leaves.
        orientation : {"left", "right", "top", "bottom"}, default="left"
            Where the root is. Texts at the leaves are upright if there is room, else turned.
        line_kwargs : dict, optional
            Properties of the links, for `matplotlib.collections.LineCollection`, such as ``linewidths``.

        Returns
        -------
        DendrogramDisplay
            The display itself.

        Raises
        ------
        ValueError
            If ``max_leaves`` or ``orientation`` is not valid.
        ImportError
            If matplotlib is not installed.
        """
        if orientation not in get_args(Orientation):
            raise ValueError(f"orientation = {orientation!r} must be one of {get_args(Orientation)}.")
        if max_leaves is not None:
            check_scalar(max_leaves, "max_leaves", Integral, min_val=2)
        n = len(self.linkage_matrix) + 1
        clusters = np.zeros(n, dtype=np.intp) if self.clusters is None else self.clusters
        layout = layout_of(self.linkage_matrix, clusters, max_leaves)
        texts = self._texts(layout)
        if ax is None:
            ax = self._new_axes(texts, orientation)
        self.ax_, self.figure_ = ax, ax.figure  # type: ignore[assignment]
        self._draw_links(layout, orientation, line_kwargs or {})
        self._draw_cut(orientation)
        self._write_leaves(texts, orientation)
        ax.set_title(self._title() if self.name is None else self.name, loc="left", fontsize="medium")
        return self

    # --- Texts and sizes ---

    def _texts(self, layout: TreeLayout) -> list[str]:
        """Return the texts at the drawn leaves: labels of single rows, and the numbers of rows of the others."""
        n = len(self.linkage_matrix) + 1
        labels = self.labels if self.labels is not None else [str(row) for row in range(n)]
        return [
            labels[leaf] if leaf < n else f"({size})" for leaf, size in zip(layout.leaves, layout.sizes, strict=True)
        ]

    def _title(self) -> str:
        """Return how many clusters there are, and that the line is the cut; an empty text without clusters."""
        if self.clusters is None:
            return ""
        n_clusters = len(np.unique(self.clusters))
        words = f"{n_clusters:,} cluster{'s' if n_clusters > 1 else ''} of {len(self.clusters):,} rows"
        return words if self.cut is None else f"{words} (dotted: the cut)"

    def _new_axes(self, texts: list[str], orientation: Orientation) -> Axes:
        """Make a figure in which there is room for the leaves and their texts."""
        along, across = max(2.4, inches_of_lines(len(texts))) + 0.9, 4.5 + inches_of_texts(texts)
        size = (across, along) if orientation in ("left", "right") else (max(along, 4.8), across - 0.5)
        axes: Axes = pyplot(f"{type(self).__name__}.plot").subplots(figsize=size, layout="constrained")[1]
        return axes

    # --- Drawing ---

    def _draw_links(self, layout: TreeLayout, orientation: Orientation, line_kwargs: Mapping[str, Any]) -> None:
        """Draw the links in the colours of their clusters, and set the limits of the axes."""
        from matplotlib.collections import LineCollection

        sideways = orientation in ("left", "right")
        colours = {MIXED: NEUTRAL}
        if self.clusters is not None:
            colours |= colours_of(self.clusters, leaves_list(self.linkage_matrix))
        links = layout.links[..., ::-1] if sideways else layout.links
        style = {"colors": [colours.get(int(cluster), NEUTRAL) for cluster in layout.clusters], "linewidths": 1.2}
        self.lines_ = LineCollection(list(links), **{**style, **line_kwargs})
        self.ax_.add_collection(self.lines_)
        top = float(self.linkage_matrix[:, 2].max()) * 1.04 or 1.0
        n_leaves = len(layout.leaves)
        if sideways:
            self.ax_.set(xlim=(top, 0) if orientation == "left" else (0, top), ylim=(n_leaves, 0))
            self.ax_.set_xlabel(self.height_name)
        else:
            self.ax_.set(xlim=(0, n_leaves), ylim=(0, top) if orientation == "top" else (top, 0))
            self.ax_.set_ylabel(self.height_name)

    def _draw_cut(self, orientation: Orientation) -> None:
        """Draw the line of the cut, if there is one."""
        self.cut_line_ = None
        if self.cut is not None:
            draw = self.ax_.axvline if orientation in ("left", "right") else self.ax_.axhline
            self.cut_line_ = draw(self.cut, color=LINE, linestyle=":", linewidth=1)

    def _write_leaves(self, texts: list[str], orientation: Orientation) -> None:
        """Write the texts of the leaves, at the side that is opposite to the root."""
        side = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[orientation]
        sideways = orientation in ("left", "right")
        axis = self.ax_.yaxis if sideways else self.ax_.xaxis
        width, height = extent_of(self.ax_)
        room = height if sideways else width
        size = font_size(len(texts), room)
        axis.set_ticks_position(side)  # type: ignore[arg-type]
        axis.set_ticks(np.arange(len(texts)) + 0.5, texts if size is not None else [""] * len(texts), parse_math=False)
        turned = not sideways and size is not None and inches_of_texts(texts, size) > 0.9 * room / len(texts)
        axis.set_tick_params(length=0, labelsize=size, rotation=90 if turned else 0)
        for spine in ("top", "right", "left", "bottom"):
            of_heights = spine == ("bottom" if sideways else "left")
            self.ax_.spines[spine].set_visible(of_heights)
