"""A picture of a matrix of divergences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import leaves_list
from scipy.sparse import issparse

from skdiv._input.arrays import as_array
from skdiv._input.checks import MatrixLike, refuse_masked
from skdiv._input.names import names_of, refuse_other_fitted_rows, refuse_other_order, refuse_other_rows
from skdiv._utils.typing import FloatArray, Labels, Places
from skdiv.pairwise import pairwise_divergences
from skdiv.plotting._style import (
    clusters_of,
    extent_of,
    font_size,
    inches_of_lines,
    inches_of_texts,
    labels_of_rows,
    name_of_metric,
    pyplot,
    texts_of,
    tree_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_MOST_CELLS = (
    2000  # the largest number of rows of the image: a screen has no more, and matplotlib copies an image often
)
_INFINITE = "#9ecae1"  # of infinite entries; no colour of the default map is near it


class DivergenceMatrixDisplay:
    """A matrix of divergences as an image, in the order of a tree, with the clusters outlined.

    `from_estimator` computes the matrix for a fitted `DivergenceClustering`; `from_matrix` takes one. The parameters of
    the constructor are stored as attributes.

    Parameters
    ----------
    matrix : array-like of shape (n, n)
        The divergences, in the order of the rows.
    order : array-like of shape (n,), optional
        The rows in the order in which they are drawn. By default they are sorted by clusters, or left as they are.
    clusters : array-like of shape (n,), optional
        The cluster of each row; those that follow each other in the order are outlined.
    labels : sequence of length n, optional
        The names of the rows; by default their positions.
    matrix_name : str, default="divergence"
        The label of the colour bar, such as the metric and its unit.
    symmetric : bool, default=True
        Whether D(p ‖ q) = D(q ‖ p). If not, the axes say whether p is the row or the column.
    name : str, optional
        The title; by default there is none.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the last `plot`.
    figure_ : matplotlib.figure.Figure
        Their figure.
    im_ : matplotlib.image.AxesImage
        The image.
    outlines_ : list of matplotlib.patches.Rectangle
        The outlines of the clusters.
    colorbar_ : matplotlib.colorbar.Colorbar or None
        The colour bar, if there is one.

    See Also
    --------
    ClusterMapDisplay : The matrix beside the tree.
    skdiv.pairwise_divergences : Computes the matrix.

    Notes
    -----
    Infinite entries have a colour of their own, which a legend explains. A matrix of more than 2,000 rows is drawn as
    the means of its square parts of equal size.

    Examples
    --------
    >>> from skdiv import DivergenceClustering
    >>> from skdiv.plotting import DivergenceMatrixDisplay
    >>> X = [[8, 1, 1], [1, 1, 8], [7, 2, 1], [0, 2, 8]]
    >>> clustering = DivergenceClustering(n_clusters=2).fit(X)
    >>> display = DivergenceMatrixDisplay.from_estimator(clustering, X, labels=["Oslo", "Rome", "Bergen", "Bari"])
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['Oslo', 'Bergen', 'Rome', 'Bari']
    """

    ax_: Axes
    figure_: Figure
    im_: AxesImage
    outlines_: list[Any]
    colorbar_: Any

    def __init__(
        self,
        matrix: ArrayLike,
        *,
        order: ArrayLike | None = None,
        clusters: Any = None,
        labels: Sequence[Any] | None = None,
        matrix_name: str = "divergence",
        symmetric: bool = True,
        name: str | None = None,
    ) -> None:
        self.matrix = _checked(matrix)
        refuse_other_rows(clusters, matrix, ("clusters", "the matrix"))
        n = len(self.matrix)
        self.clusters: Labels | None = clusters_of(clusters, n)
        self.order = _checked_order(order, self.clusters, n)
        self.labels = texts_of(labels, n)
        self.matrix_name = matrix_name
        self.symmetric = symmetric
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        clustering: Any,
        X: MatrixLike,
        *,
        labels: Sequence[Any] | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        image_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Compute the divergences of the rows that were fitted, and draw them in the order of the tree.

        Parameters
        ----------
        clustering : DivergenceClustering
            A fitted estimator, whose metric, base and pseudocount are those of the matrix.
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
            The rows that were fitted; with ``metric="precomputed"`` the matrix itself.
        labels : sequence of length n_samples, optional
            The names of the rows; by default the index of a pandas frame, or the positions of the rows.
        name : str, optional
            The title; by default there is none.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure.
        image_kwargs : dict, optional
            Properties of the image, for `matplotlib.axes.Axes.imshow`, such as ``cmap`` and ``vmax``.

        Returns
        -------
        DivergenceMatrixDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no tree.
        ValueError
            If there are not as many rows or labels as were fitted, or a row is not a distribution.
        ImportError
            If matplotlib is not installed.
        """
        return cls._of(clustering, X, labels, name).plot(ax, image_kwargs=image_kwargs)

    @classmethod
    def _of(cls, clustering: Any, X: MatrixLike, labels: Sequence[Any] | None, name: str | None = None) -> Self:
        """Return the display of a fitted estimator, without drawing it."""
        tree = tree_of(clustering, cls.__name__)
        refuse_other_fitted_rows(X, getattr(clustering, "_row_labels", None))
        predictor = clustering._predictor
        if predictor.takes_distances:
            matrix, matrix_name, symmetric = _checked(X), "distance", True
        else:
            divergence, base = clustering._between.divergence, clustering._base
            matrix = pairwise_divergences(
                X, metric=divergence, base=base, pseudocount=predictor.pseudocount, n_jobs=clustering.n_jobs
            )
            matrix_name, symmetric = name_of_metric(divergence, base), divergence.symmetric
        if len(matrix) != len(tree) + 1:
            raise ValueError(
                f"X has {len(matrix)} rows, but the tree has {len(tree) + 1}: pass the rows that were fitted."
            )
        return cls(
            matrix,
            order=leaves_list(tree),
            clusters=clustering.labels_,
            labels=labels_of_rows(labels, X),
            matrix_name=matrix_name,
            symmetric=symmetric,
            name=name,
        )

    @classmethod
    def from_matrix(
        cls,
        D: ArrayLike,
        *,
        order: ArrayLike | None = None,
        clusters: Any = None,
        labels: Sequence[Any] | None = None,
        matrix_name: str = "divergence",
        symmetric: bool = True,
        name: str | None = None,
        ax: Axes | None = None,
        image_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw a matrix of divergences.

        Parameters
        ----------
        D : array-like of shape (n, n)
            The divergences, which may be infinite; a pandas frame has labels.
        order : array-like of shape (n,), optional
            The rows in the order in which they are drawn, such as ``scipy.cluster.hierarchy.leaves_list`` of a tree. By
            default they are sorted by clusters, or left as they are.
        clusters : array-like of shape (n,), optional
            The cluster of each row; those that follow each other in the order are outlined.
        labels : sequence of length n, optional
            The names of the rows; by default the index of a pandas frame, or the positions of the rows.
        matrix_name : str, default="divergence"
            The label of the colour bar.
        symmetric : bool, default=True
            Whether D(p ‖ q) = D(q ‖ p).
        name : str, optional
            The title; by default there is none.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure.
        image_kwargs : dict, optional
            Properties of the image, for `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        DivergenceMatrixDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If D is not square or holds NaN, ``order`` is not one of its rows, or there is not one cluster and one label
            for each row.
        ImportError
            If matplotlib is not installed.
        """
        display = cls(
            D,
            order=order,
            clusters=clusters,
            labels=labels_of_rows(labels, D),
            matrix_name=matrix_name,
            symmetric=symmetric,
            name=name,
        )
        return display.plot(ax, image_kwargs=image_kwargs)

    def plot(
        self, ax: Axes | None = None, *, colorbar: bool = True, image_kwargs: Mapping[str, Any] | None = None
    ) -> Self:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure. The texts of the rows are as small as the room requires,
            and are left out if that is below 4.5 points.
        colorbar : bool, default=True
            Whether to draw a colour bar, with the name of the metric and its unit.
        image_kwargs : dict, optional
            Properties of the image, for `matplotlib.axes.Axes.imshow`, such as ``cmap`` and ``vmax``.

        Returns
        -------
        DivergenceMatrixDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = self._new_axes()
        self.ax_, self.figure_ = ax, ax.figure  # type: ignore[assignment]
        self._draw_image(image_kwargs or {})
        self._outline()
        self._write_rows()
        self._name_axes()
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = ax.figure.colorbar(self.im_, ax=ax, label=self.matrix_name, shrink=0.7, aspect=25)
        return self

    # --- Texts and sizes ---

    def _texts(self) -> list[str]:
        """Return the texts of the rows in the order in which they are drawn."""
        return [str(row) if self.labels is None else self.labels[row] for row in self.order]

    def _new_axes(self) -> Axes:
        """Make a figure in which there is room for the texts, unless there are more than a hundred rows."""
        n = len(self.matrix)
        side = min(max(3.6, inches_of_lines(n)), 13) if n <= 100 else 6.4
        beside = inches_of_texts(self._texts()) if n <= 100 else 0
        size = (side + beside + 1.6, side + (beside if self._has_columns(side) else 0) + 0.6)
        axes: Axes = pyplot(f"{type(self).__name__}.plot").subplots(figsize=size, layout="compressed")[1]
        return axes

    def _has_columns(self, inches: float) -> bool:
        """Return whether the columns have texts too: those of few rows that have labels have."""
        return self.labels is not None and len(self.matrix) <= 30 and font_size(len(self.matrix), inches) is not None

    # --- Drawing ---

    def _draw_image(self, image_kwargs: Mapping[str, Any]) -> None:
        """Draw the matrix in its order, with the infinite entries in a colour of their own."""
        import matplotlib as mpl
        from matplotlib.patches import Patch

        image, n = _reduced(self.matrix, self.order), len(self.matrix)
        infinite = np.isinf(image)
        limits = {} if "norm" in image_kwargs else {"vmin": 0}
        style = {"cmap": "magma", "extent": (0, n, n, 0), **limits, **image_kwargs}
        style["cmap"] = mpl.colormaps.get_cmap(style["cmap"]).with_extremes(bad=_INFINITE)
        self.im_ = self.ax_.imshow(np.ma.masked_array(image, infinite), **style)
        self.ax_.grid(visible=False)  # The user's defaults may draw one, over the image.
        if infinite.any():
            patch = Patch(facecolor=_INFINITE, edgecolor="0.3", label="infinite")
            self.ax_.legend(handles=[patch], loc="upper left", bbox_to_anchor=(1, 0.12), frameon=False)

    def _outline(self) -> None:
        """Outline each run of rows of one cluster, where there is more than one cluster."""
        from matplotlib.patches import Rectangle
        from matplotlib.patheffects import withStroke

        self.outlines_ = []
        if self.clusters is None:
            return
        in_order = self.clusters[self.order]
        starts = np.flatnonzero(np.append(True, in_order[1:] != in_order[:-1]))
        for start, stop in zip(starts, np.append(starts[1:], len(in_order)), strict=True):
            corner, side = (float(start), float(start)), float(stop - start)
            outline = Rectangle(corner, side, side, fill=False, edgecolor="white", linewidth=1)
            outline.set_path_effects([withStroke(linewidth=2.2, foreground="black")])  # It is seen on any colour.
            self.outlines_.append(self.ax_.add_patch(outline))

    def _write_rows(self) -> None:
        """Write the texts of the rows if they are readable, and of the columns if there are few."""
        n, texts = len(self.matrix), self._texts()
        width, height = extent_of(self.ax_)
        size = font_size(n, height)
        places = np.arange(n) + 0.5
        if size is None:
            self.ax_.set(xticks=[], yticks=[], ylabel=f"{n:,} rows")
            return
        self.ax_.set_yticks(places, texts, fontsize=size, parse_math=False)
        self.ax_.set_xticks([])
        if self._has_columns(width):
            self.ax_.set_xticks(places, texts, fontsize=size, rotation=90, parse_math=False)
        self.ax_.tick_params(length=0)

    def _name_axes(self) -> None:
        """Write the title, and which distribution is p and which q if that makes a difference."""
        if not self.symmetric:
            self.ax_.set(xlabel="q", ylabel=f"{self.ax_.get_ylabel()} p".strip())
        if self.name is not None:
            self.ax_.set_title(self.name)


# --- The matrix ---


def _checked(matrix: Any) -> FloatArray:
    """Return a square matrix of numbers without NaN, and refuse any other."""
    refuse_masked(matrix, "The matrix")
    if issparse(matrix):
        raise TypeError("The matrix is sparse, but entries that it does not store may be unknown; pass D.toarray().")
    refuse_other_order(names_of(matrix, "the matrix"))
    array: FloatArray = as_array(matrix, "The matrix", is_table=False)
    if array.size == 0:
        raise ValueError(f"The matrix has no rows: its shape is {array.shape}.")
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(f"The matrix must be square, but its shape is {array.shape}.")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"The matrix must hold real numbers, but its dtype is {array.dtype}.")
    if np.isnan(array).any():
        row, column = np.argwhere(np.isnan(array))[0]
        raise ValueError(
            f"The matrix has NaN at [{row}, {column}], for which there is no colour; divergences have none."
        )
    return array


def _checked_order(order: ArrayLike | None, clusters: Labels | None, n: int) -> Places:
    """Return the order of n rows: a user's, or else by clusters, or that in which they are."""
    if order is None:
        return np.arange(n) if clusters is None else np.argsort(clusters, kind="stable")
    places = np.asarray(order)
    if places.shape != (n,) or not np.array_equal(np.sort(places), np.arange(n)):
        raise ValueError(f"order must hold each of the numbers from 0 to {n - 1} once, as scipy's leaves_list does.")
    return places.astype(np.intp)


def _reduced(matrix: FloatArray, order: Places) -> FloatArray:
    """Return a matrix in an order of its rows and columns, or the means of its blocks if it is too large to be seen."""
    n = len(order)
    if n <= _MOST_CELLS:
        image: FloatArray = matrix[np.ix_(order, order)]
        return image
    starts = np.linspace(0, n, _MOST_CELLS + 1).astype(np.intp)[:-1]
    counts = np.diff(np.append(starts, n))
    image = np.empty((_MOST_CELLS, _MOST_CELLS))
    for block, (start, count) in enumerate(zip(starts, counts, strict=True)):
        rows = matrix[order[start : start + count]].mean(axis=0)
        image[block] = np.add.reduceat(rows[order], starts) / counts
    return image
