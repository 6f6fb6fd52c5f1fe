"""A picture of a tree beside the matrix of divergences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from skdiv._input.checks import MatrixLike
from skdiv.plotting._dendrogram import DendrogramDisplay
from skdiv.plotting._matrix import DivergenceMatrixDisplay
from skdiv.plotting._style import inches_of_lines, inches_of_texts, pyplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ClusterMapDisplay:
    """The tree of a clustering beside the matrix of its divergences, row by row.

    This is what ``seaborn.clustermap`` draws of a square matrix, with the clusters coloured in the tree and outlined in
    the matrix. The parameters are stored as attributes.

    Parameters
    ----------
    dendrogram : DendrogramDisplay
        The tree.
    matrix : DivergenceMatrixDisplay
        The matrix, in the order of the tree.

    Attributes
    ----------
    ax_ : ndarray of shape (2,)
        The axes of the tree and those of the matrix, of the last `plot`.
    figure_ : matplotlib.figure.Figure
        Their figure.

    See Also
    --------
    DendrogramDisplay : The tree alone.
    DivergenceMatrixDisplay : The matrix alone.

    Examples
    --------
    >>> from skdiv import DivergenceClustering
    >>> from skdiv.datasets import load_languages
    >>> from skdiv.plotting import ClusterMapDisplay
    >>> languages = load_languages()
    >>> clustering = DivergenceClustering(n_clusters=20).fit(languages.data)
    >>> display = ClusterMapDisplay.from_estimator(clustering, languages.data, labels=languages.names)
    >>> display.ax_[0].get_title("left")
    '20 clusters of 55 rows (dotted: the cut)'
    """

    ax_: NDArray[np.object_]
    figure_: Figure

    def __init__(self, dendrogram: DendrogramDisplay, matrix: DivergenceMatrixDisplay) -> None:
        self.dendrogram = dendrogram
        self.matrix = matrix

    @classmethod
    def from_estimator(
        cls,
        clustering: Any,
        X: MatrixLike,
        *,
        labels: Sequence[Any] | None = None,
        name: str | None = None,
        ax: Any = None,
        line_kwargs: Mapping[str, Any] | None = None,
        image_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Compute the divergences of the rows that were fitted, and draw them beside the tree.

        Parameters
        ----------
        clustering : DivergenceClustering
            A fitted estimator.
        X : {array-like, sparse matrix, frame} of shape (n_samples, n_bins)
            The rows that were fitted; with ``metric="precomputed"`` the matrix itself.
        labels : sequence of length n_samples, optional
            The names of the rows; by default the index of a pandas frame, or the positions of the rows.
        name : str, optional
            The title of the tree; by default the number of clusters.
        ax : pair of matplotlib.axes.Axes, optional
            Axes for the tree and for the matrix; by default those of a new figure.
        line_kwargs : dict, optional
            Properties of the links, as in `DendrogramDisplay`.
        image_kwargs : dict, optional
            Properties of the image, as in `DivergenceMatrixDisplay`.

        Returns
        -------
        ClusterMapDisplay
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
        matrix = DivergenceMatrixDisplay._of(clustering, X, labels)
        display = cls(DendrogramDisplay._of(clustering, matrix.labels, name), matrix)
        return display.plot(ax, line_kwargs=line_kwargs, image_kwargs=image_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        line_kwargs: Mapping[str, Any] | None = None,
        image_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the tree and the matrix.

        Parameters
        ----------
        ax : pair of matplotlib.axes.Axes, optional
            Axes for the tree and for the matrix, which should be equally high; by default those of a new figure.
        line_kwargs : dict, optional
            Properties of the links, as in `DendrogramDisplay`.
        image_kwargs : dict, optional
            Properties of the image, as in `DivergenceMatrixDisplay`.

        Returns
        -------
        ClusterMapDisplay
            The display itself.

        Raises
        ------
        ValueError
            If ``ax`` is not a pair of axes.
        ImportError
            If matplotlib is not installed.
        """
        axes = self._new_axes() if ax is None else np.ravel(ax)
        if len(axes) != 2:
            raise ValueError(f"ax must be two axes, for the tree and for the matrix, but it has {len(axes)}.")
        self.ax_, self.figure_ = axes, axes[0].figure
        self.matrix.plot(axes[1], image_kwargs={"aspect": "auto", **(image_kwargs or {})})
        n_rows = len(self.matrix.matrix)
        thin = {"linewidths": 1.2 if n_rows <= 100 else 0.6}
        self.dendrogram.plot(axes[0], max_leaves=None, line_kwargs={**thin, **(line_kwargs or {})})
        axes[0].set_yticks([])
        return self

    def _new_axes(self) -> NDArray[np.object_]:
        """Make a figure in which there is room for the texts, unless there are more than a hundred rows."""
        n, texts = len(self.matrix.matrix), self.matrix._texts()
        height = min(max(3.6, inches_of_lines(n)), 13) if n <= 100 else 6.4
        width = 1.9 * height**0.5 + height + (inches_of_texts(texts) if n <= 100 else 0) + 1.2
        figure = pyplot(f"{type(self).__name__}.plot").figure(
            figsize=(min(width, 16), height + 0.8), layout="constrained"
        )
        axes: NDArray[np.object_] = figure.subplots(1, 2, width_ratios=[1, 2])
        return axes
