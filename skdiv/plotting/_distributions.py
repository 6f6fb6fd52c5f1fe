"""A picture of two distributions, and of what each bin adds to their divergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar

from skdiv._divergences.record import Divergence
from skdiv._divergences.registry import MetricName, resolve
from skdiv._utils.typing import Places
from skdiv.explanations import compare, is_root, is_row
from skdiv.plotting._style import PALETTE, extent_of, font_size, in_unit, inches_of_texts, pyplot, unit_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_BINS = 300  # the largest number of bins that are all drawn by default
_TOP = 30  # the number that is drawn of more
_OF_P, _OF_Q, _ADDED = PALETTE[0], PALETTE[1], PALETTE[2]


class DistributionDisplay:
    """Two distributions as bars beside each other, and below them what each bin contributes to their divergence.

    `from_distributions` computes what is drawn. The parameters are stored as attributes.

    Parameters
    ----------
    p, q : ndarray of shape (n_bins,)
        The distributions.
    contributions : ndarray of shape (n_bins,)
        What each bin contributes to the divergence.
    feature_names : sequence of length n_bins, optional
        Names of the bins; by default their positions.
    labels : pair of str, default=("p", "q")
        The names of the two distributions.
    contribution_name : str, default="adds"
        The label of the axis of the contributions.

    Attributes
    ----------
    ax_ : ndarray of shape (2,)
        The axes of the bars and those of the contributions, of the last `plot`.
    figure_ : matplotlib.figure.Figure
        Their figure.
    bars_ : tuple of matplotlib.container.BarContainer
        The bars of p, those of q, and those of the contributions.

    See Also
    --------
    skdiv.explanations.divergence_contributions : Computes the contributions.
    skdiv.explanations.describe_clusters : The bins that contribute the most, for each cluster.

    Notes
    -----
    An infinite contribution is a hatched bar over the whole height.

    Examples
    --------
    >>> from skdiv.plotting import DistributionDisplay
    >>> display = DistributionDisplay.from_distributions(
    ...     [8, 1, 1], [2, 1, 7], feature_names=["sun", "clouds", "rain"], labels=("Rome", "Bergen")
    ... )
    >>> display.contributions.round(3)
    array([0.096, 0.   , 0.127])
    """

    ax_: NDArray[np.object_]
    figure_: Figure
    bars_: tuple[Any, Any, Any]

    def __init__(
        self,
        p: ArrayLike,
        q: ArrayLike,
        contributions: ArrayLike,
        *,
        feature_names: Sequence[Any] | None = None,
        labels: tuple[str, str] = ("p", "q"),
        contribution_name: str = "adds",
    ) -> None:
        self.p = np.asarray(p)
        self.q = np.asarray(q)
        self.contributions = np.asarray(contributions)
        if self.p.ndim != 1 or not self.p.shape == self.q.shape == self.contributions.shape:
            raise ValueError(
                f"p, q and contributions must be vectors of one length, but their shapes are {self.p.shape}, "
                f"{self.q.shape} and {self.contributions.shape}."
            )
        if len(labels) != 2:
            raise ValueError(f"labels = {labels!r} must be two texts, for p and for q.")
        self.feature_names = list(range(len(self.p))) if feature_names is None else list(feature_names)
        self.labels = tuple(labels)
        self.contribution_name = contribution_name

    @classmethod
    def from_distributions(
        cls,
        p: Any,
        q: Any,
        *,
        metric: MetricName | Divergence = "js_distance",
        base: float | None = None,
        pseudocount: float = 0.0,
        feature_names: Sequence[Any] | None = None,
        labels: tuple[str, str] = ("p", "q"),
        top: int | None = None,
        ax: Any = None,
        bar_kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Compute what each bin adds to the divergence of two distributions, and draw it.

        Parameters
        ----------
        p, q : array-like of shape (n_bins,), or one row of a sparse matrix or of a frame
            Probabilities or counts, each of which is divided by its sum.
        metric : str or Divergence, default="js_distance"
            A divergence that is a sum over the bins, or the root of one, as in `divergence_contributions`.
        base : float, optional
            Base of the logarithm, 2 for bits; by default nats.
        pseudocount : float, default=0.0
            The number that is added to every entry before the distributions are normalised.
        feature_names : sequence of length n_bins, optional
            Names of the bins; by default the index of a pandas Series, or the positions.
        labels : pair of str, default=("p", "q")
            The names of the two distributions.
        top : int, optional
            How many bins are drawn, as in `plot`.
        ax : pair of matplotlib.axes.Axes, optional
            Axes for the bars and for the contributions; by default those of a new figure.
        bar_kwargs : dict, optional
            Properties of all bars, for `matplotlib.axes.Axes.bar`.

        Returns
        -------
        DistributionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If p or q is not a vector of weights, they differ in length, there is not one name for each bin, or the
            divergence is no sum over the bins.
        ImportError
            If matplotlib is not installed.
        """
        divergence = resolve(metric)
        compared = compare(p, q, divergence, base, pseudocount, feature_names)
        if compared.labels is not None and not (is_row(p) and is_row(q)):
            raise ValueError("p and q must be two distributions, but they are collections; pass one row of each.")
        unit = unit_of(None if divergence.base_exponent is None else 1.0, base)
        display = cls(
            compared.P.dense()[0],
            compared.Q.dense()[0],
            compared.contributions[0],
            feature_names=compared.features.tolist(),
            labels=labels,
            contribution_name=in_unit(f"adds to {_name_of_sum(divergence)}", unit),
        )
        return display.plot(ax, top=top, bar_kwargs=bar_kwargs)

    def plot(self, ax: Any = None, *, top: int | None = None, bar_kwargs: Mapping[str, Any] | None = None) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : pair of matplotlib.axes.Axes, optional
            Axes for the bars and for the contributions; by default those of a new figure.
        top : int, optional
            The number of bins, those that contribute the most, the first of them first. By default all bins are drawn
            in their order if there are 300 or fewer, else the 30 that contribute the most. The axis says how many are
            drawn, and how much of the divergence they make.
        bar_kwargs : dict, optional
            Properties of all bars, for `matplotlib.axes.Axes.bar`.

        Returns
        -------
        DistributionDisplay
            The display itself.

        Raises
        ------
        ValueError
            If ``ax`` is not a pair of axes, or ``top`` is not positive.
        ImportError
            If matplotlib is not installed.
        """
        places, words = self._chosen(top)
        texts = [str(self.feature_names[place]) for place in places]
        axes = self._new_axes(texts) if ax is None else np.ravel(ax)
        if len(axes) != 2:
            raise ValueError(f"ax must be two axes, for the bars and for the contributions, but it has {len(axes)}.")
        self.ax_, self.figure_ = axes, axes[0].figure
        self._draw_bars(places, bar_kwargs or {})
        self._write_bins(texts)
        axes[0].set_ylabel("probability")
        axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)
        axes[1].set(ylabel=self.contribution_name, xlabel=words)
        return self

    # --- What is drawn ---

    def _chosen(self, top: int | None) -> tuple[Places, str]:
        """Return the bins that are drawn, and the words that say which they are, if they are not all."""
        n = len(self.p)
        if top is None and n <= _MOST_BINS:
            return np.arange(n), ""
        top = min(n, _TOP if top is None else int(check_scalar(top, "top", Integral, min_val=1)))
        places = np.argsort(-self.contributions, kind="stable")[:top]
        total = self.contributions.sum()
        part = self.contributions[places].sum() / total if 0 < total < np.inf else None
        share = "" if part is None else f" ({100 * part:.0f} % of the sum)"
        return places, "" if top == n else f"the {top} of {n:,} bins that add the most{share}"

    def _new_axes(self, texts: list[str]) -> NDArray[np.object_]:
        """Make a figure in which there is room for the bins and their names."""
        width = min(max(5.0, 0.26 * len(texts) + 1.2), 13)
        size = (width, 4.6 + min(inches_of_texts(texts), 3))
        plt = pyplot(f"{type(self).__name__}.plot")
        axes: NDArray[np.object_] = plt.subplots(2, 1, figsize=size, layout="constrained")[1]
        return axes

    # --- Drawing ---

    def _draw_bars(self, places: Places, bar_kwargs: Mapping[str, Any]) -> None:
        """Draw the bars from zero; an infinite contribution is a hatched bar, a tenth higher than the finite ones."""
        at, (above, below) = np.arange(len(places)), self.ax_
        of_p = above.bar(at - 0.2, self.p[places], **{**_bar(_OF_P, 0.4, self.labels[0]), **bar_kwargs})
        of_q = above.bar(at + 0.2, self.q[places], **{**_bar(_OF_Q, 0.4, self.labels[1]), **bar_kwargs})
        values, infinite = self.contributions[places], np.isinf(self.contributions[places])
        top = 1.1 * float(values[~infinite].max(initial=0)) or 1.0
        added = below.bar(at, np.where(infinite, top, values), **{**_bar(_ADDED, 0.8, None), **bar_kwargs})
        for bar in np.array(added.patches, dtype=object)[infinite]:
            bar.set(facecolor="white", edgecolor=_ADDED, hatch="////")
            below.annotate("∞", (bar.get_x() + bar.get_width() / 2, top), ha="center", va="bottom", color=_ADDED)
        for axes in self.ax_:
            axes.set_xlim(-0.7, len(places) - 0.3)
            axes.set_ylim(bottom=0)
            axes.spines[["top", "right"]].set_visible(False)
        if infinite.any():
            below.set_ylim(top=1.15 * top)
        self.bars_ = of_p, of_q, added

    def _write_bins(self, texts: list[str]) -> None:
        """Write the names of the bins below both axes' bars, as many of them as are readable."""
        step, turned, size = _readable(texts, extent_of(self.ax_[1])[0])
        at = np.arange(0, len(texts), step)
        self.ax_[0].set_xticks(at, [""] * len(at))
        self.ax_[1].set_xticks(at, texts[::step], rotation=90 if turned else 0, fontsize=size, parse_math=False)
        for axes in self.ax_:
            axes.tick_params(axis="x", length=0 if step == 1 else 3)


def _bar(colour: str, width: float, label: str | None) -> dict[str, Any]:
    """Return the properties of bars, which those of the user replace."""
    return {"color": colour, "width": width, "label": label}


def _readable(texts: list[str], inches: float) -> tuple[int, bool, float]:
    """Return how far apart the written texts of a row are, whether they are turned, and their size in points."""
    for step in (1, 2, 5, 10, 20, 50, 100):
        written = texts[::step]
        slot = inches / len(written)
        if inches_of_texts(written) < 0.9 * slot:
            return step, False, 9.0
        size = font_size(len(written), inches)
        if size is not None and size > 6:
            return step, True, size
    return len(texts), False, 9.0


def _name_of_sum(divergence: Divergence) -> str:
    """Return what the contributions sum to: the divergence, or the square of a root."""
    return f"{divergence.name}²" if is_root(divergence) else divergence.name
