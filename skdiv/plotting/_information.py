"""A picture of the information that each number of clusters retains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skdiv.plotting._style import LINE, PALETTE, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MANY = 100  # the number of rows from which on the numbers of clusters are on a logarithmic axis


class InformationCurveDisplay:
    """The share of the information about the bins that each number of clusters retains.

    `from_estimator` makes it from a `DivergenceClustering` with ``linkage="information"``. The parameters are stored as
    attributes.

    Parameters
    ----------
    n_clusters : array-like of shape (n,)
        Numbers of clusters.
    retained : array-like of shape (n,)
        The share of the information that so many clusters retain.
    chosen : int, optional
        The number of clusters that is marked.
    name : str, optional
        The title; by default there is none.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the last `plot`.
    figure_ : matplotlib.figure.Figure
        Their figure.
    line_ : matplotlib.lines.Line2D
        The curve.
    mark_ : matplotlib.lines.Line2D or None
        The point of the chosen number, if there is one.

    See Also
    --------
    skdiv.DivergenceClustering : Its attribute ``information_curve_`` is what is drawn.

    Notes
    -----
    The curve is that of the tree: clusters that ``refine`` has changed retain more than their point says. From a
    hundred rows on, the numbers of clusters are on a logarithmic axis.

    Examples
    --------
    >>> from skdiv import DivergenceClustering
    >>> from skdiv.plotting import InformationCurveDisplay
    >>> X = [[8, 1, 1], [7, 2, 1], [1, 1, 8], [0, 2, 8]]
    >>> clustering = DivergenceClustering(n_clusters=2, linkage="information").fit(X)
    >>> display = InformationCurveDisplay.from_estimator(clustering)
    >>> display.retained.round(2)
    array([0.  , 0.93, 0.99, 1.  ])
    """

    ax_: Axes
    figure_: Figure
    line_: Any
    mark_: Any

    def __init__(
        self, n_clusters: ArrayLike, retained: ArrayLike, *, chosen: int | None = None, name: str | None = None
    ) -> None:
        self.n_clusters = np.asarray(n_clusters)
        self.retained = np.asarray(retained)
        self.chosen = chosen
        if self.n_clusters.ndim != 1 or self.n_clusters.shape != self.retained.shape:
            raise ValueError(
                "n_clusters and retained must be vectors of one length, but their shapes are "
                f"{self.n_clusters.shape} and {self.retained.shape}."
            )
        if chosen is not None and chosen not in self.n_clusters:
            raise ValueError(
                f"chosen = {chosen} is none of the numbers in n_clusters, so it has no point on the curve."
            )
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        clustering: Any,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        curve_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the curve of a fitted estimator, with its number of clusters marked.

        Parameters
        ----------
        clustering : DivergenceClustering
            A fitted estimator with ``linkage="information"``.
        name : str, optional
            The title; by default there is none.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure.
        curve_kwargs : dict, optional
            Properties of the curve, for `matplotlib.axes.Axes.plot`.

        Returns
        -------
        InformationCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator was fitted with another linkage.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(clustering)
        if not hasattr(clustering, "information_curve_"):
            raise ValueError(
                "The information that clusters retain is known with linkage='information' alone, but the clustering "
                f"was fitted with {getattr(clustering, 'linkage_', type(clustering).__name__)!r}; fit it anew."
            )
        display = cls(*clustering.information_curve_, chosen=clustering.n_clusters_, name=name)
        return display.plot(ax, curve_kwargs=curve_kwargs)

    def plot(self, ax: Axes | None = None, *, curve_kwargs: Mapping[str, Any] | None = None) -> Self:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure.
        curve_kwargs : dict, optional
            Properties of the curve, for `matplotlib.axes.Axes.plot`.

        Returns
        -------
        InformationCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = pyplot(f"{type(self).__name__}.plot").subplots(figsize=(6, 3.8), layout="constrained")[1]
        self.ax_, self.figure_ = ax, ax.figure  # type: ignore[assignment]
        style = {"color": PALETTE[0], "marker": "." if len(self.n_clusters) <= _MANY else "", "linewidth": 1.2}
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        given = normalize_kwargs(dict(curve_kwargs or {}), Line2D)  # such as c, which is short for color
        (self.line_,) = ax.plot(self.n_clusters, self.retained, **{**style, **given})
        ax.set(xlabel="number of clusters", ylabel="information retained", ylim=(0, 1.03))
        if len(self.n_clusters) > _MANY:
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        ax.grid(alpha=0.3)
        self._mark_chosen()
        if self.name is not None:
            ax.set_title(self.name)
        return self

    def _mark_chosen(self) -> None:
        """Mark the chosen number of clusters, and write what it retains."""
        self.mark_ = None
        if self.chosen is None:
            return
        retained = float(self.retained[np.flatnonzero(self.n_clusters == self.chosen)[0]])
        (self.mark_,) = self.ax_.plot(
            [self.chosen],
            [retained],
            marker="o",
            markersize=8,
            color=PALETTE[3],
            linestyle="none",
            label=f"{self.chosen:,} clusters retain {100 * retained:.1f} %",
        )
        self.ax_.plot([self.chosen, self.chosen], [0, retained], color=LINE, linestyle=":", linewidth=1)
        self.ax_.legend(loc="lower right")
